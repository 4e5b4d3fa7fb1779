"""The decoder that is also given pictures: depth by plane sweep, one Gaussian for every pixel."""
