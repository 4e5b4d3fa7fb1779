"""Structural dissimilarity of the rendered frames, 1 - SSIM."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lyra_model.losses.base import LossInput
from lyra_model.metrics.ssim import ssim_map


def ssim_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:  # noqa: ARG001
    """Mean over frames, channels and the pixels at least 5 pixels from the border."""
    return 1 - ssim_map(inputs.render.rgb, inputs.rgb).mean()
