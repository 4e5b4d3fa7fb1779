"""Reconstruct scenes: Gaussians of views, by one of three methods, and files that others open."""
