"""Our numbers against the reference's: one checker per kind of golden file."""
