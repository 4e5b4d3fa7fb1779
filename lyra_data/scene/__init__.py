"""Hold what travels through the pipeline: cameras, clips, views and their quality."""
