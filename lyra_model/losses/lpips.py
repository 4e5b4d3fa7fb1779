"""LPIPS: how far apart render and target look to a network trained on photos."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lyra_model.losses.base import LossInput


def lpips_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:  # noqa: ARG001
    """Mean over frames."""
    assert inputs.perceptual is not None, "a weight of lpips needs a network"
    return inputs.perceptual(inputs.render.rgb, inputs.rgb).mean()
