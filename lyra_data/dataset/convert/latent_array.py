"""Read and write Lyra's saved latents: a pickled array, read without running anything.

Lyra's loader takes normalised latents as [1, channel, latent_frame, h, w] and transposes them
(`is_generated_cosmos_latent: True` in its registry); all others it takes as they are, and they must
be [1, latent_frame, channel, h, w]. Ours of the second kind name their codec in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lyra_data.dataset.checks import bounds
from lyra_data.dataset.checks.latents import neighbour_likeness
from lyra_data.dataset.format.manifest import Codec
from lyra_data.engine.errors import InputError
from lyra_data.models.codecs.base import TEMPORAL_FACTOR, num_latent_frames
from lyra_data.models.codecs.latent_spaces import (
    NORMALISED_COSMOS,
    NORMALISED_COSMOS_FINGERPRINT,
)
from lyra_data.models.gen3c.latent_files import (
    StatedCodec,
    read_latent_array,
    read_stated_codec,
    write_stated_codec,
)

KINDS = ("float16", "float32", "float64")
NORMALISED = Codec(NORMALISED_COSMOS, NORMALISED_COSMOS_FINGERPRINT)
"""The codec that a dataset names for such latents, which are kept as they are."""


@dataclass(frozen=True)
class SavedLatents:
    """The latents of a file.

    Attributes:
        values: as float32, without the axis of the batch.
        kind: what its numbers are: float16, float32 or float64.
        is_float32: whether float32 holds every one of them.
        codec: the one that the file names; NORMALISED where it names none.
    """

    values: Float[np.ndarray, "channel latent_frame latent_height latent_width"]
    kind: str
    is_float32: bool
    codec: Codec


def read_latents(path: Path, num_frames: int) -> SavedLatents:
    """Read the latents in a file, channels first, whichever order the file has.

    A file that names its codec has time first; one that names none is as Lyra's data generation
    saves it, channels first.

    Args:
        num_frames: of the video that they belong to.

    Raises:
        InputError: it holds anything but an array of floats of five axes, they are not as many as
            the video needs, or channels and time are exchanged in a file that names no codec.
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
    stated = read_stated_codec(path)
    array = array[0] if stated is None else array[0].swapaxes(0, 1)
    _require_length(array, num_frames, path)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, np.float32)
    if stated is None and array.shape[0] == array.shape[1]:
        _require_channels_first(values, path)
    exact = bool((values.astype(array.dtype) == array).all())
    codec = NORMALISED if stated is None else Codec(stated.codec, stated.codec_fingerprint)
    return SavedLatents(values, str(array.dtype), exact, codec)


def write_latents(
    values: Float[np.ndarray, "channel latent_frame latent_height latent_width"],
    kind: str,
    codec: Codec,
    path: Path,
) -> None:
    """Save latents for Lyra's own loader, which unpickles them.

    A pickle is written here alone, and only because that program reads nothing else (ADR 0021).
    """
    assert kind in KINDS, kind
    if codec.name == NORMALISED.name:
        torch.save(np.ascontiguousarray(values[None], kind), path)
        return
    torch.save(np.ascontiguousarray(values.swapaxes(0, 1)[None], kind), path)
    write_stated_codec(path, StatedCodec(codec.name, codec.fingerprint))


def require_whole_latents(num_frames: int, path: Path) -> None:
    """Raise InputError unless the video at `path` fills whole latent frames: 8k+1 frames."""
    if num_frames % TEMPORAL_FACTOR != 1:
        raise InputError(
            f"the video has {num_frames} frames; latents stand for 8k+1 (1, 9, 17, ... 121)",
            where=str(path),
            fix="generate the clip at such a length, or leave it out with --skip-broken",
        )


def _require_length(array: np.ndarray, num_frames: int, path: Path) -> None:
    expected = num_latent_frames(num_frames)
    if array.shape[1] == expected:
        return
    if array.shape[0] == expected:
        raise _exchanged(path)
    raise InputError(
        f"latents of {array.shape[1]} latent frames for a video of {num_frames} frames, which has "
        f"{expected}",
        where=str(path),
        fix="give the video and the latents of one clip",
    )


def _require_channels_first(values: np.ndarray, path: Path) -> None:
    """Raise InputError where neighbours along the first axis are alike, as those in time are."""
    in_time, in_channel = neighbour_likeness(values)
    if in_channel - in_time >= bounds.TRANSPOSED:
        raise _exchanged(path)


def _exchanged(path: Path) -> InputError:
    return InputError(
        "these latents have time before channels, as ones that are not normalised; nothing says "
        "which codec they are of",
        where=str(path),
        fix="give a file as Lyra's data generation saves it, [1, channel, frame, height, width], "
        "or one that `lyra-data convert --to lyra` wrote",
    )
