"""Media codecs: frames, maps and latents as blobs whose parts are read alone."""
