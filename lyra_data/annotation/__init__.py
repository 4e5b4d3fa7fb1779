"""Turn the material of a source into annotated clips: poses, intrinsics, depth."""
