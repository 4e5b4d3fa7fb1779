"""A scene's Gaussians in a browser: the drawing scripts, their data, and the one-file page."""
