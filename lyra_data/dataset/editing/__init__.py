"""Datasets made of datasets, without encoding anything again."""
