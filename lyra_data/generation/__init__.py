"""Generation: from annotated clips to synthetic views along known trajectories."""
