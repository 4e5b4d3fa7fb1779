"""Opacity loss: pushes opacities down, so that pruning finds Gaussians nobody needs."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_model.losses.base import LossInput


def opacity_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:
    """Mean opacity of the Gaussians, 0..1.

    The reference (src/models/utils/loss.py) applies a second sigmoid: its value cannot fall under
    0.5 and its gradient is at most a quarter.
    """
    opacities = inputs.gaussians.opacities
    return (torch.sigmoid(opacities) if reference else opacities).mean()
