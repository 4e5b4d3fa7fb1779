"""lyra_data: from photos and videos to a checked multi-view dataset; never imports lyra_model.

The names that `__all__` lists are public, and docs/api.md explains them; all else may change.
They are declared in __init__.pyi, and each is imported when it is first used.
"""

import lazy_loader

# Before any library loads: it chooses the arithmetic that they compute with.
from lyra_data.engine import reproducibility as _reproducibility  # noqa: F401

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
