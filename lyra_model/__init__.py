"""lyra_model: the 3D Gaussian decoder, its renderers, training and evaluation."""

import lyra_data as _lyra_data  # noqa: F401  # chooses the arithmetic before any library loads
