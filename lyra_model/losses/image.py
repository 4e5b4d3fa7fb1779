"""Mean squared error of the rendered colours."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lyra_model.losses.base import LossInput


def image_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:  # noqa: ARG001
    """Mean over all frames, channels and pixels; the reference's as well."""
    return F.mse_loss(inputs.render.rgb, inputs.rgb)
