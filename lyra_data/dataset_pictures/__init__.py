"""Pictures of packaged datasets to look at: all views of a scene on one page, and as a video."""
