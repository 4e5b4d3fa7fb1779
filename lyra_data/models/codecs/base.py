"""The promise of a latent codec: video in, 8x8x8-compressed causal latents out, and back."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor

from lyra_data.engine.placement import Placement

LATENT_CHANNELS = 16
SPATIAL_FACTOR = 8
TEMPORAL_FACTOR = 8


def num_latent_frames(num_frames: int) -> int:
    """Return the latent frames of a video of 8k+1 frames: one for the first frame, then one for
    every eight."""
    assert num_frames % TEMPORAL_FACTOR == 1, f"{num_frames} frames is not 8k+1"
    return (num_frames - 1) // TEMPORAL_FACTOR + 1


def whole_latents(least: int = 1) -> AfterValidator:
    """Accept lengths of videos that fill whole latent frames: 8k+1, from `least` on."""
    allowed = "must be 8k+1" + (f" and at least {least}" if least > 1 else "")

    def check(num_frames: int) -> int:
        if num_frames < least or num_frames % TEMPORAL_FACTOR != 1:
            below = max((num_frames - 1) // TEMPORAL_FACTOR * TEMPORAL_FACTOR + 1, least)
            raise ValueError(f"{allowed}; the nearest are {below} and {below + TEMPORAL_FACTOR}")
        return num_frames

    return AfterValidator(check)


@runtime_checkable
class LatentCodec(Protocol):
    """16 channels, 8x8x8, causal.

    Causal: latent frame j depends on video frames 0..8j only, so the latents of a clip's first
    8k+1 frames are the first k+1 latent frames of the whole clip.
    """

    name: ClassVar[str]

    @property
    def fingerprint(self) -> str:
        """Names the exact transform: weights and settings that change its numbers."""
        ...

    def run_on(self, placement: Placement) -> None:
        """Take where to run; called once, before the first video. Results lie on the CPU."""
        ...

    def encode(
        self, video: Float[Tensor, "3 frame height width"]
    ) -> Float[Tensor, "16 latent_frame latent_height latent_width"]:
        """Return latents of a video in [-1, 1]; frames 8k+1, height and width multiples of 8."""
        ...

    def decode(
        self, latents: Float[Tensor, "16 latent_frame latent_height latent_width"]
    ) -> Float[Tensor, "3 frame height width"]:
        """Return the video the latents stand for, clamped to [-1, 1]."""
        ...


def reconstruction_psnr(
    codec: LatentCodec,
    video: Float[Tensor, "3 frame height width"],
    latents: Float[Tensor, "16 latent_frame latent_height latent_width"],
) -> float:
    """Return the PSNR in decibels of a video in [-1, 1] against what its latents decode to."""
    error = (codec.decode(latents) - video).double().square().mean()
    return float(10.0 * torch.log10(4.0 / error))
