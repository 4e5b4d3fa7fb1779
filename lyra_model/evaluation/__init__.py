"""Score decoders against held-out frames and photos, and write the report."""
