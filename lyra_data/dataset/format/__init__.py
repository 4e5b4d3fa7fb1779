"""Describe the layout of a dataset: columns, encodings, manifest, index, splits."""
