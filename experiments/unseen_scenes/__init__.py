"""Experiment 0002: what holds the decoder back on scenes that it never saw."""
