"""Prepare images for a perceptual network that compares them."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.pixel_values import signed_from_unit


def perceptual_input(
    images: Float[Tensor, "frame 3 height width"], max_height: int
) -> Float[Tensor, "frame 3 new_height new_width"]:
    """Images in [0, 1] mapped to [-1, 1] and shrunk to at most `max_height` rows.

    Bilinear without antialiasing; the width follows the aspect ratio, rounded down, and neither
    side grows (Lyra-1 src/models/utils/loss.py, resize_images_lpips).
    """
    height, width = images.shape[-2:]
    size = (min(height, max_height), min(width, int(max_height / height * width)))
    return F.interpolate(signed_from_unit(images), size=size, mode="bilinear", align_corners=False)
