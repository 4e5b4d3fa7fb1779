"""Depth metrics: AbsRel and the share of pixels within 25 % of the true depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.metrics.scores import Scores, masked_mean

DELTA = 1.25
"""The usual threshold of depth benchmarks (Eigen et al. 2014)."""


@dataclass(frozen=True)
class DepthScores:
    """Agreement of predicted depth with the true one, frame by frame.

    Attributes:
        absolute_relative: mean of |predicted - target| / target; 0 is best.
        within_delta: share of pixels with max(predicted/target, target/predicted) < 1.25; 1 is
            best.
    """

    absolute_relative: Scores
    within_delta: Scores


def depth_scores(
    predicted: Float[Tensor, "frame height width"],
    target: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
) -> DepthScores:
    """Return how well z depths agree over the valid pixels.

    A pixel that was not predicted (depth 0) counts as wrong: relative error 1, outside delta.

    Args:
        valid: where the target is known.
    """
    safe = torch.where(valid, target, torch.ones_like(target))
    # What was not predicted has depth 0 and must stay outside delta: its ratio becomes enormous.
    ratio = torch.maximum(predicted / safe, safe / predicted.clamp(min=1e-12))
    return DepthScores(
        absolute_relative=masked_mean((predicted - safe).abs() / safe, valid),
        within_delta=masked_mean((ratio < DELTA).float(), valid),
    )
