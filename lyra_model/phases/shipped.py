"""Weights of decoders that come with this package, by name."""

from __future__ import annotations

from pathlib import Path

SHIPPED = ("cpu-small",)
"""Names of checkpoints in the folder `shipped_weights`; its README.md says what each one is."""


def shipped_checkpoint(name: str) -> Path | None:
    """Return the folder of the checkpoint that comes under this name; None: there is none."""
    if name not in SHIPPED:
        return None
    return Path(__file__).parent / "shipped_weights" / name
