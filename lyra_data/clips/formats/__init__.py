"""Clip formats: the folders in which other tools keep posed clips, read and written."""
