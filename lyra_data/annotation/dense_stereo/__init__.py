"""Dense depth from pictures with known cameras: PatchMatch stereo, then agreement among frames."""
