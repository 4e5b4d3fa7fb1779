"""lyra_data: from sources to a checked multi-view dataset; never imports lyra_model."""

__version__ = "0.1.0"
