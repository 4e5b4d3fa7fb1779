"""Bring pictures and per-pixel maps to the size that a phase trains at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.pixel_values import unit_from_bytes


def resize_frames(frames: Tensor, height: int, width: int) -> Float[Tensor, "frame 3 height width"]:
    """Return uint8 frames as 0..1 at another size, averaged where they shrink."""
    images = unit_from_bytes(frames)
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True).clamp(0, 1)


def sample_nearest(maps: Tensor, height: int, width: int) -> Tensor:
    """Return per-pixel maps at another size, each output pixel taken at its centre.

    Nothing is blended: blending would invent depths between a surface and what is behind it.
    """
    rows = ((torch.arange(height) + 0.5) * maps.shape[1] / height).long()
    columns = ((torch.arange(width) + 0.5) * maps.shape[2] / width).long()
    return maps[:, rows][:, :, columns]
