"""The dct codec: sixteen coefficients of a fixed orthonormal block transform, without weights.

The first frame alone becomes latent frame 0: each 8x8 block of 3 colours (192 numbers) is
projected on sixteen orthonormal directions. Every eight later frames become one latent frame:
each 8x8x8 block (1536 numbers) is projected on sixteen others. A direction is the outer product
of a colour axis and of cosine (DCT-II) waves in time, down and across. Decoding is the transpose,
which for orthonormal directions is the least-squares inverse. Encoding is linear, so what is not
a picture (Pluecker images, masks) may go through it at any range.

The tables name the directions. They were chosen by greedy search for the highest mean PSNR over
the six trajectories of the Motorcycle photo at 192x288, where they reach 21.3 dB with 17 frames,
22.2 with 33 and 22.6 with 49: the slower the camera, the better. Against the table that is best
on pans of many photos they gain 0.7 dB on slow motion and give up 0.7 dB on fast (3 pixels a
frame), for the sake of the spatial detail a reconstruction learns from.

The first eleven channels mean the same in every latent frame: a still video has the same values
there in all of them. Gains bring every channel to about unit size on photographs.
"""

from __future__ import annotations

import hashlib
import math
from typing import ClassVar, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs.base import LATENT_CHANNELS, SPATIAL_FACTOR, TEMPORAL_FACTOR

COLOUR_AXES = {
    "grey": (1.0, 1.0, 1.0),
    "red_blue": (1.0, 0.0, -1.0),
    "magenta_green": (1.0, -2.0, 1.0),
}
"""Weights of red, green and blue, before normalisation to unit length."""


class Direction(NamedTuple):
    """One channel: a colour axis, three frequencies (half waves per block) and a gain."""

    colour: str
    time: int
    down: int
    across: int
    gain: float


SHARED = (
    Direction("grey", 0, 0, 0, 0.125),
    Direction("red_blue", 0, 0, 0, 0.5),
    Direction("magenta_green", 0, 0, 0, 1.0),
    Direction("grey", 0, 1, 0, 0.5),
    Direction("grey", 0, 0, 1, 1.0),
    Direction("grey", 0, 2, 0, 1.0),
    Direction("grey", 0, 0, 2, 1.0),
    Direction("grey", 0, 1, 1, 1.0),
    Direction("grey", 0, 0, 3, 2.0),
    Direction("grey", 0, 3, 0, 2.0),
    Direction("red_blue", 0, 1, 0, 2.0),
)
FIRST_FRAME = (
    *SHARED,
    Direction("grey", 0, 2, 1, 2.0),
    Direction("grey", 0, 1, 2, 2.0),
    Direction("red_blue", 0, 0, 1, 2.0),
    Direction("grey", 0, 0, 4, 2.0),
    Direction("grey", 0, 2, 2, 2.0),
)
LATER_FRAMES = (
    *SHARED,
    Direction("grey", 1, 0, 0, 1.0),
    Direction("grey", 1, 1, 0, 2.0),
    Direction("grey", 1, 0, 1, 2.0),
    Direction("grey", 1, 2, 0, 2.0),
    Direction("grey", 2, 0, 0, 2.0),
)


class DctCodecParams(Params):
    """Nothing to set: the transform is fixed, so that latents of any two runs can be mixed."""

    name: Literal["dct"]


class DctCodec:
    """See the module's docstring."""

    Params = DctCodecParams
    name: ClassVar[str] = "dct"

    def __init__(self, params: DctCodecParams) -> None:
        self.params = params
        self._first = _directions(FIRST_FRAME, num_frames=1)
        self._later = _directions(LATER_FRAMES, num_frames=TEMPORAL_FACTOR)

    @property
    def fingerprint(self) -> str:
        """`dct-` and a hash of the tables."""
        tables = repr((COLOUR_AXES, FIRST_FRAME, LATER_FRAMES)).encode()
        return "dct-" + hashlib.sha256(tables).hexdigest()[:16]

    def run_on(self, placement: Placement) -> None:
        """Do nothing: it runs where its input lies."""

    def encode(
        self, video: Float[Tensor, "3 frame height width"]
    ) -> Float[Tensor, "16 latent_frame latent_height latent_width"]:
        """Return latents of a video in [-1, 1] (or of any range: the transform is linear).

        Raises:
            ParamsError: the frames are not 8k+1, or a side is not a multiple of 8 pixels.
        """
        _check_shape(*video.shape[1:])
        # One latent frame at a time: the same product of the same shapes whatever follows, so
        # that a clip's start has exactly the latents it has alone.
        starts = range(1, video.shape[1], TEMPORAL_FACTOR)
        later = [video[:, start : start + TEMPORAL_FACTOR] for start in starts]
        latents = [_project(video[:, :1], self._first)]
        latents += [_project(frames, self._later) for frames in later]
        return torch.stack(latents, dim=1)

    def decode(
        self, latents: Float[Tensor, "16 latent_frame latent_height latent_width"]
    ) -> Float[Tensor, "3 frame height width"]:
        """Return the video nearest to the latents in the least-squares sense, clamped to [-1,
        1]."""
        return self.decode_linear(latents).clamp(-1.0, 1.0)

    def decode_linear(
        self, latents: Float[Tensor, "16 latent_frame latent_height latent_width"]
    ) -> Float[Tensor, "3 frame height width"]:
        """Decode without the clamp: for latents of what is not a picture."""
        parts = [_reconstruct(latents[:, 0], self._first, num_frames=1)]
        parts += [
            _reconstruct(latent, self._later, num_frames=TEMPORAL_FACTOR)
            for latent in latents[:, 1:].unbind(1)
        ]
        return torch.cat(parts, dim=1)


class _Directions(NamedTuple):
    """A table as matrices: orthonormal `rows`, and the gain of every channel."""

    rows: Float[Tensor, "16 value"]
    gains: Float[Tensor, "16 1"]


def _directions(table: tuple[Direction, ...], *, num_frames: int) -> _Directions:
    assert len(table) == LATENT_CHANNELS
    rows = []
    for direction in table:
        colour = torch.tensor(COLOUR_AXES[direction.colour], dtype=torch.float64)
        row = torch.einsum(
            "c,t,y,x->ctyx",
            colour / colour.norm(),
            _cosine_wave(direction.time, num_frames),
            _cosine_wave(direction.down, SPATIAL_FACTOR),
            _cosine_wave(direction.across, SPATIAL_FACTOR),
        )
        rows.append(row.flatten())
    # A block of n frames has sqrt(n) times the norm of one of its frames: undone here, so that
    # the shared channels of a still video agree between the first latent frame and the others.
    gains = [direction.gain / math.sqrt(num_frames) for direction in table]
    return _Directions(torch.stack(rows).float(), torch.tensor(gains)[:, None])


def _cosine_wave(half_waves: int, length: int) -> Float[Tensor, " length"]:
    """Return one row of the orthonormal DCT-II, in float64."""
    positions = torch.arange(length, dtype=torch.float64) + 0.5
    wave = torch.cos(math.pi * half_waves * positions / length)
    return wave / wave.norm()


def _project(
    frames: Float[Tensor, "3 frame height width"], directions: _Directions
) -> Float[Tensor, "16 latent_height latent_width"]:
    size = SPATIAL_FACTOR
    blocks = rearrange(frames, "c t (h y) (w x) -> (c t y x) (h w)", y=size, x=size)
    latents = (directions.rows.to(frames) @ blocks) * directions.gains.to(frames)
    return latents.unflatten(1, (frames.shape[2] // size, frames.shape[3] // size))


def _reconstruct(
    latents: Float[Tensor, "16 latent_height latent_width"],
    directions: _Directions,
    *,
    num_frames: int,
) -> Float[Tensor, "3 frame height width"]:
    size = SPATIAL_FACTOR
    blocks = directions.rows.T.to(latents) @ (latents.flatten(1) / directions.gains.to(latents))
    height, width = latents.shape[1:]
    pattern = "(c t y x) (h w) -> c t (h y) (w x)"
    return rearrange(blocks, pattern, c=3, t=num_frames, y=size, x=size, h=height, w=width)


def _check_shape(num_frames: int, height: int, width: int) -> None:
    problems, fixes = [], []
    if num_frames % TEMPORAL_FACTOR != 1:
        below = max((num_frames - 1) // TEMPORAL_FACTOR, 0) * TEMPORAL_FACTOR + 1
        problems.append(f"{num_frames} frames is not a multiple of {TEMPORAL_FACTOR} plus 1")
        fixes.append(f"use {below} or {below + TEMPORAL_FACTOR} frames")
    for side, pixels in (("height", height), ("width", width)):
        if pixels == 0 or pixels % SPATIAL_FACTOR:
            below = pixels // SPATIAL_FACTOR * SPATIAL_FACTOR
            near = [str(size) for size in (below, below + SPATIAL_FACTOR) if size > 0]
            problems.append(f"{side} {pixels} is not a multiple of {SPATIAL_FACTOR} pixels")
            fixes.append(f"use a {side} of {' or '.join(near)}")
    if problems:
        raise ParamsError("; ".join(problems), where="codec dct", fix="; ".join(fixes))
