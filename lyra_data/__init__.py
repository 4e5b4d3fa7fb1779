"""lyra_data: from sources to a checked multi-view dataset; never imports lyra_model."""

from lyra_data.engine import reproducibility as _reproducibility  # noqa: F401  # before any library loads

__version__ = "0.1.0"
