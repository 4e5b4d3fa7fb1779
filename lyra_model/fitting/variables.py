"""Variables: the unbounded numbers behind Gaussians that an optimiser may change freely."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.fitting.params import FitParams
from lyra_model.gaussians import Gaussians

LEAST_SCALE = 1e-9
LEAST_SHARE = 1e-3
"""Opacities and colours are kept this far from 0 and 1, where a sigmoid has no slope."""

NUM_CENTRES = 16


@dataclass(frozen=True)
class Variables:
    """Every Gaussian's numbers; `gaussians` makes Gaussians of them.

    Attributes:
        offsets: of the centres from where they began, in `reach`.
        log_scales: logarithms of the scales.
        quats: of any length.
        opacity_logits: before the sigmoid.
        color_logits: before the sigmoid.
        start: the centres at the beginning; no variable.
        reach: distance of every centre from the nearest camera; no variable.
    """

    offsets: Float[Tensor, "gaussian 3"]
    log_scales: Float[Tensor, "gaussian 3"]
    quats: Float[Tensor, "gaussian 4"]
    opacity_logits: Float[Tensor, " gaussian"]
    color_logits: Float[Tensor, "gaussian 3"]
    start: Float[Tensor, "gaussian 3"]
    reach: Float[Tensor, "gaussian 1"]

    @staticmethod
    def of(gaussians: Gaussians, cameras: Cameras) -> Variables:
        """Return the variables of Gaussians that some cameras look at."""
        fixed = gaussians.detach()
        return Variables(
            offsets=torch.zeros_like(fixed.means),
            log_scales=fixed.scales.clamp(min=LEAST_SCALE).log(),
            quats=fixed.quats.clone(),
            opacity_logits=_logit(fixed.opacities),
            color_logits=_logit(fixed.colors),
            start=fixed.means.clone(),
            reach=_distances(fixed.means, cameras),
        )

    @property
    def free(self) -> dict[str, Tensor]:
        """Return the tensors that are optimised, by name."""
        return {name: tensor for name, tensor in vars(self).items() if name in RATES}

    def gaussians(self) -> Gaussians:
        """Return the Gaussians; differentiable."""
        return Gaussians(
            means=self.start + self.reach * self.offsets,
            scales=self.log_scales.exp(),
            quats=torch.nn.functional.normalize(self.quats, dim=-1),
            opacities=self.opacity_logits.sigmoid(),
            colors=self.color_logits.sigmoid(),
        )

    def groups(self, params: FitParams) -> list[dict]:
        """Return groups of an optimiser, each with its learning rate."""
        return [
            {"params": [tensor.requires_grad_()], "lr": getattr(params, RATES[name])}
            for name, tensor in self.free.items()
        ]


RATES = {
    "offsets": "means_rate",
    "log_scales": "scales_rate",
    "quats": "quats_rate",
    "opacity_logits": "opacities_rate",
    "color_logits": "colors_rate",
}
"""Variable -> the learning rate of `FitParams` that it has."""


def _logit(share: Tensor) -> Tensor:
    return torch.logit(share, eps=LEAST_SHARE)


def _distances(means: Float[Tensor, "gaussian 3"], cameras: Cameras) -> Float[Tensor, "gaussian 1"]:
    """Return distances to the nearest of some of the cameras, none below a hundredth of the
    median."""
    chosen = torch.linspace(0, len(cameras) - 1, min(NUM_CENTRES, len(cameras))).long()
    nearest = means.new_full((len(means),), torch.inf)
    for centre in cameras.centres[chosen].to(means):
        nearest = torch.minimum(nearest, (means - centre).norm(dim=-1))
    least = 0.01 * nearest.median() if len(nearest) else 0.0
    return nearest.clamp(min=least)[:, None]
