"""Relative error of the rendered depth, for scenes whose scale is known. Not in the reference."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lyra_model.losses.base import LossInput


def metric_depth_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:  # noqa: ARG001
    """Mean of |rendered - true| / true over pixels with known depth; 0 where there are none."""
    known = inputs.depth_valid
    true = inputs.depth[known]
    relative = (inputs.render.depth[known] - true).abs() / true
    return relative.sum() / max(relative.numel(), 1)
