"""Fitting: frames with depth become Gaussians, and Gaussians are optimised against frames."""
