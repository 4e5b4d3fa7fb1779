"""PSNR: peak signal-to-noise ratio in decibels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.metrics.scores import Scores, masked_mean


@dataclass(frozen=True)
class PsnrConvention:
    """The choices in which PSNRs of different papers differ.

    Attributes:
        clip: values are clipped to [0, 1] first, as they would be shown.
        floor: added to the mean squared error, so that equal images have a finite figure.
    """

    clip: bool = True
    floor: float = 0.0


def psnr(
    predicted: Float[Tensor, "frame 3 height width"],
    target: Float[Tensor, "frame 3 height width"],
    mask: Bool[Tensor, "frame height width"] | None = None,
    *,
    convention: PsnrConvention = PsnrConvention(),
) -> Scores:
    """Return -10 log10 of the mean squared error of images in [0, 1], in decibels.

    The error is the mean over channels and pixels of one frame, in float64; nothing is rounded to
    8 bits here. It is infinite for equal images, unless the convention has a floor.

    Args:
        mask: the pixels that count; all of them without one. Nothing outside it has an influence.
    """
    if convention.clip:
        predicted, target = predicted.clamp(0, 1), target.clamp(0, 1)
    error = (predicted.double() - target.double()).square().mean(1)
    scores = masked_mean(error, mask)
    return replace(scores, values=-10 * torch.log10(scores.values + convention.floor))
