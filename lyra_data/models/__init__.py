"""Load and run networks that others trained: codecs, depth, GEN3C, text to image."""
