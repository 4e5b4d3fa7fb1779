"""Fetch byte ranges of a dataset's files, local or remote."""
