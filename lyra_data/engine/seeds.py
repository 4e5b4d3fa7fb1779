"""Seeds derived by name, so that the order of work and the number of workers change nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive_seed(seed: int, scene_id: str, purpose: str) -> int:
    """Derive a 63-bit seed for one purpose in one scene.

    The same three values give the same seed on every machine and Python version; any difference
    in one of them gives an unrelated seed.
    """
    text = "\x00".join((str(int(seed)), scene_id, purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, scene_id: str, purpose: str) -> np.random.Generator:
    """Make a NumPy generator seeded by `derive_seed` (PCG64)."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive_seed(seed, scene_id, purpose)))


def torch_generator(seed: int, scene_id: str, purpose: str) -> torch.Generator:
    """Make a torch CPU generator seeded by `derive_seed`."""
    import torch

    generator = torch.Generator()
    generator.manual_seed(derive_seed(seed, scene_id, purpose))
    return generator
