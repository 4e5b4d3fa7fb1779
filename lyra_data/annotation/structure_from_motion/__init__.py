"""Structure from motion: poses, intrinsics and sparse points from pictures, by pycolmap."""
