"""Convert between the dataset and the layout of Lyra 1's released data, and to WebDataset."""
