"""Experiment 0001: a decoder of many scenes, judged on scenes it never saw."""
