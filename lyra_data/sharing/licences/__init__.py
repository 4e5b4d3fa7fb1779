"""Licences: those of sources and models that a dataset depends on, and whether they go together."""
