"""Read and write Lyra's saved latents: a pickled array, read without running anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lyra_data.engine.errors import InputError
from lyra_data.models.gen3c.latent_files import read_latent_array

KINDS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class SavedLatents:
    """The latents of a file.

    Attributes:
        values: as float32, without the axis of the batch.
        kind: what its numbers are: float16, float32 or float64.
        is_float32: whether float32 holds every one of them.
    """

    values: Float[np.ndarray, "channel latent_frame latent_height latent_width"]
    kind: str
    is_float32: bool


def read_latents(path: Path) -> SavedLatents:
    """Read the latents in a file.

    Raises:
        InputError: it holds anything but an array of floats [1, channel, frame, height, width].
    """
    array = read_latent_array(path)
    if array.ndim != 5 or array.shape[0] != 1 or 0 in array.shape:
        raise InputError(
            f"latents have shape [1, channel, frame, height, width], these {list(array.shape)}",
            where=str(path),
            fix="give a file as Lyra's data generation saves it",
        )
    if not np.isfinite(array).all():
        raise InputError("some latents are not finite", where=str(path), fix="leave this clip out")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array[0], np.float32)
    exact = bool((values.astype(array.dtype) == array[0]).all())
    return SavedLatents(values, str(array.dtype), exact)


def write_latents(
    values: Float[np.ndarray, "channel latent_frame latent_height latent_width"],
    kind: str,
    path: Path,
) -> None:
    """Save latents for Lyra's own loader, which unpickles them.

    A pickle is written here alone, and only because that program reads nothing else (ADR 0021).
    """
    assert kind in KINDS, kind
    torch.save(np.ascontiguousarray(values[None], kind), path)
