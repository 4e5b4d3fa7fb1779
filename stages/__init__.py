"""stages: the pipeline's thin shells. One module, params section, DVC stage and CLI verb each."""

import lyra_data as _lyra_data  # noqa: F401  # chooses the arithmetic before any library loads
