"""Bridges: between the dataset and the layout of Lyra 1's released data, and out to WebDataset."""
