"""Do the work safely and repeatably: errors, params, atomic files, hashes, seeds, progress."""
