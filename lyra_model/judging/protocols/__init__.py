"""Protocols of evaluation as values: all that a score depends on but the method."""
