"""Objective: one number that says how far rendered frames are from the true ones."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lyra_model.batches.targets import Targets
from lyra_model.fitting.fast_ssim import mean_ssim
from lyra_model.fitting.params import FitParams
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import Render


def objective(
    render: Render, targets: Targets, gaussians: Gaussians, params: FitParams
) -> Float[Tensor, ""]:
    """Return the weighted sum of the terms that have a weight; differentiable."""
    trust = 1.0 - (1.0 - params.filled) * targets.filled.to(render.rgb)
    total = params.l1 * ((render.rgb - targets.rgb).abs() * trust[:, None]).mean()
    if params.ssim > 0:
        total = total + params.ssim * (1 - mean_ssim(render.rgb, targets.rgb))
    if params.depth > 0:
        total = total + params.depth * _depth_difference(render, targets)
    if params.opacity > 0:
        total = total + params.opacity * gaussians.opacities.mean()
    return total


def _depth_difference(render: Render, targets: Targets) -> Float[Tensor, ""]:
    """Return the mean of |rendered - true| / true over pixels of known depth; 0 without any."""
    known = targets.depth_valid
    safe = targets.depth.where(known, 1.0)
    relative = ((render.depth - targets.depth) / safe).abs() * known
    return relative.sum() / known.sum().clamp(min=1)
