"""Bringing a video to the size of the one it is compared with, as the reference does."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resize_and_crop(
    video: Float[Tensor, "frame 3 height width"], height: int, width: int
) -> Float[Tensor, "frame 3 new_height new_width"]:
    """Scale to cover `height` x `width` (bilinear, no antialiasing), then crop the centre.

    Source: Lyra-1 src/eval/metrics.py, resize_and_crop_video.
    """
    old_height, old_width = video.shape[-2:]
    scale = max(height / old_height, width / old_width)
    size = (round(old_height * scale), round(old_width * scale))
    resized = F.interpolate(video, size=size, mode="bilinear", align_corners=False)
    return crop_centre(resized, height, width)


def crop_centre(
    video: Float[Tensor, "frame 3 height width"], height: int, width: int
) -> Float[Tensor, "frame 3 new_height new_width"]:
    """The window in the middle, rounded to the upper left."""
    top = (video.shape[-2] - height) // 2
    left = (video.shape[-1] - width) // 2
    return video[..., top : top + height, left : left + width]
