"""Turn tokens into Gaussians: the transposed convolution, and the meaning of its 12 channels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lyra_data.models.codecs.base import TEMPORAL_FACTOR
from lyra_model.decoder.embeddings import PATCH
from lyra_model.gaussians import Gaussians

CHANNELS = {"distance": 1, "rgb": 3, "scale": 3, "rotation": 4, "opacity": 1}
"""The quantities predicted for every Gaussian, in the order of the head's channels."""


class TransposedConvolution(nn.ConvTranspose3d):
    """Turns tokens of t latent frames into 12 channels of 8 (t - 1) + 1 frames of 2x2 pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__(
            dim,
            sum(CHANNELS.values()),
            kernel_size=(TEMPORAL_FACTOR + 1, PATCH, PATCH),
            stride=(TEMPORAL_FACTOR, PATCH, PATCH),
            padding=(TEMPORAL_FACTOR // 2, 0, 0),
        )


@dataclass(frozen=True)
class GaussianActivation:
    """Turns the head's raw numbers into Gaussians (LatentRecon.gaussian_processing).

    With w = sigmoid(x + distance_shift) the centre is origin + (near (1 - w) + far w) direction:
    the distance is measured along the unit ray, it is not the z depth. A new model starts near
    w = sigmoid(shift), so `distance_near`, `distance_far` and the shift should put that distance
    inside the scene.
    """

    distance_near: float
    distance_far: float
    distance_shift: float
    scale_max: float
    opacity_shift: float

    def distance(self, raw: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        weight = torch.sigmoid(raw + self.distance_shift)
        return self.distance_near * (1 - weight) + self.distance_far * weight

    def scale(self, raw: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.exp(raw - (1 - math.log(self.scale_max))).clamp(max=self.scale_max)

    def opacity(self, raw: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.sigmoid(raw + self.opacity_shift)

    def color(self, raw: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return 0.5 * torch.tanh(raw) + 0.5

    def __call__(
        self,
        raw: Float[Tensor, "gaussian 12"],
        rays_o: Float[Tensor, "gaussian 3"],
        rays_d: Float[Tensor, "gaussian 3"],
    ) -> Gaussians:
        """Return Gaussians in the frame of the rays; always computed in float32 or better."""
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        distance, rgb, scale, rotation, opacity = raw.split(list(CHANNELS.values()), dim=-1)
        return Gaussians(
            means=rays_o + self.distance(distance) * rays_d,
            scales=self.scale(scale),
            quats=F.normalize(rotation, dim=-1),
            opacities=rearrange(self.opacity(opacity), "gaussian 1 -> gaussian"),
            colors=self.color(rgb),
        )
