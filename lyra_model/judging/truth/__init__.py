"""Ground truth of evaluations on disk: scenes of frames in the datasets' own forms, read lazily."""
