"""Pack frames, maps and latents as blobs whose parts are read alone."""
