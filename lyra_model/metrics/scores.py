"""Scores: what every metric returns, with the number of pixels behind each value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """One value for every frame.

    Attributes:
        values: NaN for a frame in which no pixel was counted.
        num_pixels: pixels counted in every frame.
    """

    values: Float[Tensor, " frame"]
    num_pixels: Int[Tensor, " frame"]

    @property
    def mean(self) -> float:
        """Return the mean over the frames that have a value, as the reference; NaN without any."""
        return float(self.values.double().nanmean())

    @property
    def total_pixels(self) -> int:
        """Return the number of pixels counted in all frames."""
        return int(self.num_pixels.sum())


def masked_mean(
    values: Float[Tensor, "frame height width"], mask: Bool[Tensor, "frame height width"] | None
) -> Scores:
    """Return the mean of a map over the pixels of a mask (all without one), in float64."""
    if mask is None:
        mask = torch.ones_like(values, dtype=torch.bool)
    num_pixels = mask.sum((1, 2))
    total = torch.where(mask, values, torch.zeros_like(values)).double().sum((1, 2))
    return Scores(values=total / num_pixels, num_pixels=num_pixels)  # 0 / 0 is NaN, as promised
