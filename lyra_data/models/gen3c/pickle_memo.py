"""Bound what an Unpickler remembers: a made-up number must not decide how much memory it takes.

Python's Unpickler makes room up to whatever place a pickle names: twelve bytes can ask for 64 GB.
"""

from __future__ import annotations

import pickletools


def refuse_far_memo(data: bytes) -> None:
    """Raises ValueError where a pickle remembers something further off than its writers do.

    They number what they remember one by one, so no number is larger than the operations before it.
    """
    for index, (operation, place, _) in enumerate(pickletools.genops(data)):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(place or 0) > index:
            raise ValueError(f"it remembers something at place {place}, after {index} steps")
