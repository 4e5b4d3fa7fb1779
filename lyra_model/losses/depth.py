"""Depth loss up to scale and shift: smooth L1 between normalised depth maps.

Every map is shifted by its median and divided by its mean absolute deviation from it, both over
pixels of known depth, the deviation clamped to [1e-3, 1e3] (Lyra-1 src/models/utils/loss.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.losses.base import LossInput

DEVIATION_RANGE = (1e-3, 1e3)


def depth_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:
    """Mean over pixels of known depth; 0 where there are none.

    In the reference pixels of unknown depth take part in the median, as zeros, and in the number
    that the sum is divided by.
    """
    compare = reference_depth_difference if reference else depth_difference
    return compare(inputs.render.depth, inputs.depth, inputs.depth_valid)


def depth_difference(
    predicted: Float[Tensor, "frame height width"],
    target: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
) -> Float[Tensor, ""]:
    """Mean over all known pixels; frames without any drop out."""
    total, count = predicted.new_zeros(()), 0
    for frame, truth, known in zip(predicted, target, valid, strict=True):
        if not bool(known.any()):
            continue
        ours, theirs = normalise(frame[known]), normalise(truth[known])
        total = total + F.smooth_l1_loss(ours, theirs, reduction="sum")
        count += len(ours)
    return total / max(count, 1)


def normalise(values: Float[Tensor, " pixel"]) -> Float[Tensor, " pixel"]:
    """Return the median; of an even number of values the lower of the two in the middle."""
    centred = values - values.median()
    return centred / centred.abs().mean().clamp(*DEVIATION_RANGE)


def reference_depth_difference(
    predicted: Float[Tensor, "frame height width"],
    target: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
) -> Float[Tensor, ""]:
    """The reference's numbers, unknown pixels included."""
    ours, theirs = reference_normalise(predicted, valid), reference_normalise(target, valid)
    return F.smooth_l1_loss(ours, theirs)


def reference_normalise(
    depth: Float[Tensor, "frame height width"], valid: Bool[Tensor, "frame height width"]
) -> Float[Tensor, "frame pixel"]:
    """Unknown pixels are 0 before the median, which sees them, and 0 after the division.

    The deviation is over known pixels.
    """
    values, known = torch.where(valid, depth, torch.zeros_like(depth)).flatten(1), valid.flatten(1)
    centred = values - values.median(dim=1, keepdim=True).values
    deviation = (centred.abs() * known).sum(1) / known.sum(1).clamp(min=1)
    return centred * known / deviation.clamp(*DEVIATION_RANGE)[:, None]
