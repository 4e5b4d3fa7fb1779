"""lyra_model: the 3D Gaussian decoder, its renderers, training and evaluation.

The names that `__all__` lists are public, and docs/api.md explains them; all else may change.
They are declared in __init__.pyi, and each is imported when it is first used.
"""

import lazy_loader

import lyra_data as _lyra_data  # noqa: F401  # chooses the arithmetic before any library loads

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
