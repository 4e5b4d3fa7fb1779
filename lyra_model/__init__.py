"""lyra_model: the 3D Gaussian decoder, its renderers, training and evaluation."""
