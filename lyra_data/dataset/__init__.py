"""The dataset: views packed into checked Parquet shards, and read back frame by frame."""
