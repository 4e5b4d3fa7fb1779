"""Losses of training: the table of kinds, their weights, and the sum that a phase minimises."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from lyra_model.losses.params import LossParams, PerceptualParams

if TYPE_CHECKING:
    from lyra_model.losses.base import Loss, LossInput, LossValue

__all__ = ["LOSSES", "LossParams", "PerceptualParams", "total_loss"]

LOSSES = {
    "image": "lyra_model.losses.image:image_loss",
    "ssim": "lyra_model.losses.ssim:ssim_loss",
    "depth": "lyra_model.losses.depth:depth_loss",
    "metric_depth": "lyra_model.losses.metric_depth:metric_depth_loss",
    "picture_depth": "lyra_model.losses.picture_depth:picture_depth_loss",
    "opacity": "lyra_model.losses.opacity:opacity_loss",
    "lpips": "lyra_model.losses.lpips:lpips_loss",
}
"""Kind of a loss -> its function. A kind has a weight of the same name in LossParams."""


def total_loss(params: LossParams, inputs: LossInput) -> LossValue:
    """The weighted sum of all losses of positive weight."""
    from lyra_model.losses.base import LossValue

    total = inputs.rgb.new_zeros(())
    terms: dict[str, float] = {}
    for name in LOSSES:
        weight = getattr(params, name)
        if weight > 0:
            value = _function(name)(inputs, reference=params.reference)
            total = total + weight * value
            terms[name] = float(value.detach())
    return LossValue(total=total, terms=terms)


def _function(name: str) -> Loss:
    module, _, function = LOSSES[name].partition(":")
    return getattr(importlib.import_module(module), function)
