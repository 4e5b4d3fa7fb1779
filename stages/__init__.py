"""stages: the pipeline's thin shells. One module, params section, DVC stage and CLI verb each."""
