"""Margins: coarse Gaussians beyond the borders of frames, where nothing is known at all.

A camera that moves on looks past what the frames show. There a blurred continuation is nearer the
truth than the empty background.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.scene.pixel_values import bytes_from_unit, unit_from_bytes
from lyra_model.batches.targets import Targets

INPAINTING_RADIUS = 3.0
PAINTED_PIXELS = 160
"""Longer side of the picture that is painted: a continuation is blurred anyway, and painting takes
time with every pixel."""


def widened(
    frame: Targets, depth: Float[Tensor, "height width"], share: float, stride: int
) -> tuple[Targets, Float[Tensor, "outer_height outer_width"]]:
    """Return one frame in coarse pixels with a margin around it, and its depth.

    The margin's colours are inpainted, its depths those of the nearest coarse pixel. `filled` is
    True in the margin alone.

    Args:
        depth: of the frame, known everywhere.
        share: width of the margin, in units of the frame's larger side.
        stride: side of a coarse pixel, in pixels.
    """
    height, width = frame.cameras.height // stride, frame.cameras.width // stride
    margin = max(round(share * max(height, width)), 1)
    rows, columns = slice(0, height * stride), slice(0, width * stride)
    rgb = F.avg_pool2d(frame.rgb[..., rows, columns], stride)
    coarse = F.avg_pool2d(depth[None, rows, columns], stride)
    sides = (margin, margin, margin, margin)
    beyond = F.pad(torch.zeros(height, width, dtype=torch.bool), sides, value=True)
    cameras = frame.cameras.cropped(0, 0, height * stride, width * stride).resized(height, width)
    outer_depth = F.pad(coarse[None], sides, mode="replicate")[0]
    outer = Targets(
        rgb=_painted(F.pad(rgb, sides), beyond),
        depth=torch.zeros_like(outer_depth),
        depth_valid=torch.zeros_like(outer_depth, dtype=torch.bool),
        filled=beyond[None],
        cameras=cameras.cropped(-margin, -margin, height + 2 * margin, width + 2 * margin),
        times=frame.times,
    )
    return outer, outer_depth[0]


def _painted(
    rgb: Float[Tensor, "1 3 height width"], beyond: Bool[Tensor, "height width"]
) -> Float[Tensor, "1 3 height width"]:
    """Return the picture with colours where it has none so far."""
    height, width = beyond.shape
    shrink = max(PAINTED_PIXELS, height, width) / PAINTED_PIXELS
    size = (max(round(height / shrink), 1), max(round(width / shrink), 1))
    small = F.interpolate(rgb, size, mode="area")
    empty = F.interpolate(beyond[None, None].float(), size, mode="area")[0, 0] > 0
    picture = bytes_from_unit(small[0]).permute(1, 2, 0).contiguous().numpy()
    mask = empty.numpy().astype(np.uint8)
    painted = np.asarray(cv2.inpaint(picture, mask, INPAINTING_RADIUS, cv2.INPAINT_TELEA))
    whole = unit_from_bytes(torch.from_numpy(painted).permute(2, 0, 1))[None]
    return torch.where(beyond, F.interpolate(whole, (height, width), mode="bilinear"), rgb)
