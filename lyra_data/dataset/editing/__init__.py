"""Make datasets of datasets, without encoding anything again."""
