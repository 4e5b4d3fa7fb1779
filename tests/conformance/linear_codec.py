"""The stand-in codec of the goldens: averages and one 3 -> 16 matrix, so anyone can rebuild it."""

from __future__ import annotations

from typing import ClassVar

import torch
from einops import reduce, repeat
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.placement import Placement
from lyra_data.models.codecs.base import SPATIAL_FACTOR, TEMPORAL_FACTOR


class LinearCodec:
    """Latent frame 0 is frame 0, frame k the mean of frames 8k-7..8k; 8x8 means; z = W x + b."""

    name: ClassVar[str] = "linear"

    def __init__(
        self,
        weight: Float[Tensor, "16 3"],
        bias: Float[Tensor, " 16"],
        inverse: Float[Tensor, "3 16"] | None = None,
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.inverse = inverse

    @property
    def fingerprint(self) -> str:
        return "linear"

    def run_on(self, placement: Placement) -> None:
        """Runs where its input lies."""

    def encode(self, video: Float[Tensor, "3 frame height width"]) -> Float[Tensor, "16 t h w"]:
        later = reduce(video[:, 1:], "c (t k) h w -> c t h w", "mean", k=TEMPORAL_FACTOR)
        frames = torch.cat([video[:, :1], later], dim=1)
        small = reduce(
            frames, "c t (h p) (w q) -> c t h w", "mean", p=SPATIAL_FACTOR, q=SPATIAL_FACTOR
        )
        mixed = torch.einsum("dc,cthw->dthw", self.weight, small)
        return mixed + self.bias[:, None, None, None]

    def decode(self, latents: Float[Tensor, "16 t h w"]) -> Float[Tensor, "3 frame height width"]:
        assert self.inverse is not None, "this codec was built to encode only"
        frames = torch.einsum("cd,dthw->cthw", self.inverse, latents)
        later = repeat(frames[:, 1:], "c t h w -> c (t k) h w", k=TEMPORAL_FACTOR)
        video = torch.cat([frames[:, :1], later], dim=1)
        video = repeat(video, "c t h w -> c t (h p) (w q)", p=SPATIAL_FACTOR, q=SPATIAL_FACTOR)
        return video.clamp(-1.0, 1.0)
