"""Metrics: one function each; images in [0, 1], one value a frame, pixels counted and stated."""
