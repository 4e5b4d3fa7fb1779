"""Metrics: one function each, its convention a value; images in [0, 1], one figure a frame."""
