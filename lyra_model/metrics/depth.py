"""Depth metrics: AbsRel and the share of pixels within 25 % of the true depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.metrics.scores import Scores, masked_mean

DELTA = 1.25


@dataclass(frozen=True)
class DepthScores:
    """Attributes:
    absolute_relative: mean of |predicted - target| / target; 0 is best.
    within_delta: share of pixels with max(predicted/target, target/predicted) < 1.25; 1 is best.
    """

    absolute_relative: Scores
    within_delta: Scores


def depth_scores(
    predicted: Float[Tensor, "frame height width"],
    target: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
    *,
    align_median: bool,
) -> DepthScores:
    """Compare z depths over the valid pixels.

    A pixel that was not predicted (depth 0) counts as wrong: relative error 1, outside delta.

    Args:
        valid: where the target is known (and, if wanted, other limits of the comparison).
        align_median: first scale each predicted frame so that its median over valid, predicted
            pixels is the target's: for scenes whose scale is not metric.
    """
    safe = torch.where(valid, target, torch.ones_like(target))
    if align_median:
        predicted = torch.stack(
            [
                frame * _median_ratio(frame, truth, known)
                for frame, truth, known in zip(predicted, target, valid, strict=True)
            ]
        )
    ratio = torch.maximum(predicted / safe, safe / predicted.clamp(min=1e-12))
    return DepthScores(
        absolute_relative=masked_mean((predicted - safe).abs() / safe, valid),
        within_delta=masked_mean((ratio < DELTA).float(), valid),
    )


def _median_ratio(
    predicted: Float[Tensor, "height width"],
    target: Float[Tensor, "height width"],
    valid: Bool[Tensor, "height width"],
) -> float:
    counted = valid & (predicted > 0)
    if not bool(counted.any()):
        return 1.0
    return float(target[counted].median() / predicted[counted].median())
