"""Camera paths of the user's own and those for videos: read, interpolated, laid into a scene."""
