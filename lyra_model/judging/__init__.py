"""Judging renders of any method against ground truth, by a protocol."""
