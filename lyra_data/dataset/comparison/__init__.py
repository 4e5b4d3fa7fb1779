"""Compare two datasets: scenes, views, fields, quality, sizes, settings (docs/dataset-tools.md)."""
