"""Keep one generated view on disk: its fields, their bytes, and views that were left out."""
