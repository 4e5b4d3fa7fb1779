"""Depth metrics: AbsRel and the share of pixels within 25 % of the true depth, aligned or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.metrics.scores import Scores, masked_mean

DELTA = 1.25
"""The usual threshold of depth benchmarks (Eigen et al. 2014)."""


DepthAlignment = Literal["none", "median", "least_squares"]
"""The change that predicted depths go through before they are compared, one for each frame:
none; a scale that makes the medians equal; or the scale and shift of least squared error."""


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
    *,
    alignment: DepthAlignment = "none",
) -> DepthScores:
    """Return how well z depths agree over the valid pixels.

    A pixel that was not predicted (depth 0) counts as wrong: relative error 1, outside delta.

    Args:
        valid: where the target is known.
        alignment: of the predicted depths, by `aligned_depth`. Aligned figures say nothing of the
            scale, and are not to be compared with others.
    """
    predicted = aligned_depth(predicted, target, valid, alignment=alignment)
    safe = torch.where(valid, target, torch.ones_like(target))
    # What was not predicted has depth 0 and must stay outside delta: its ratio becomes enormous.
    ratio = torch.maximum(predicted / safe, safe / predicted.clamp(min=1e-12))
    return DepthScores(
        absolute_relative=masked_mean((predicted - safe).abs() / safe, valid),
        within_delta=masked_mean((ratio < DELTA).float(), valid),
    )


def aligned_depth(
    predicted: Float[Tensor, "frame height width"],
    target: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
    *,
    alignment: DepthAlignment,
) -> Float[Tensor, "frame height width"]:
    """Return predicted depths after the alignment; what was not predicted stays 0.

    Scale and shift are those of z depth itself (not of its inverse), from the pixels where the
    target is known and a depth predicted, in float64. A frame without any, or for a shift with
    fewer than two different depths, stays as it is. A depth that the shift puts behind the camera
    becomes 0: not predicted.
    """
    if alignment == "none":
        return predicted
    aligned = predicted.clone()
    for index, (depth, truth) in enumerate(zip(predicted, target, strict=True)):
        counted = valid[index] & (depth > 0)
        scale, shift = _scale_and_shift(depth[counted], truth[counted], alignment)
        moved = (depth.double() * scale + shift).clamp(min=0)
        aligned[index] = torch.where(depth > 0, moved.to(depth), depth)
    return aligned


def _scale_and_shift(
    predicted: Float[Tensor, " pixel"], target: Float[Tensor, " pixel"], alignment: DepthAlignment
) -> tuple[float, float]:
    if len(predicted) == 0:
        return 1.0, 0.0
    predicted, target = predicted.double(), target.double()
    if alignment == "median":
        return float(target.median() / predicted.median()), 0.0
    centred = predicted - predicted.mean()
    spread = float(centred.square().sum())
    if spread == 0:
        return 1.0, 0.0
    scale = float((centred * (target - target.mean())).sum()) / spread
    return scale, float(target.mean() - scale * predicted.mean())
