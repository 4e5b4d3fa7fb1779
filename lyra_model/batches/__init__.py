"""Turn scenes of a dataset into training steps."""
