"""PSNR: peak signal-to-noise ratio in decibels."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.metrics.scores import Scores, masked_mean


def psnr(
    predicted: Float[Tensor, "frame 3 height width"],
    target: Float[Tensor, "frame 3 height width"],
    mask: Bool[Tensor, "frame height width"] | None = None,
) -> Scores:
    """Return -10 log10 of the mean squared error of images clipped to [0, 1].

    It is infinite for equal images.

    Args:
        mask: the pixels that count; all of them without one. Nothing outside it has an influence.
    """
    error = (predicted.clamp(0, 1).double() - target.clamp(0, 1).double()).square().mean(1)
    scores = masked_mean(error, mask)
    return replace(scores, values=-10 * torch.log10(scores.values))
