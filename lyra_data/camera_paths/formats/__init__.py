"""Formats of camera paths: files in which other tools and people keep the cameras of a path."""
