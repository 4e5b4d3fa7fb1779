"""Read scenes, frames and latents out of a dataset, near or far."""
