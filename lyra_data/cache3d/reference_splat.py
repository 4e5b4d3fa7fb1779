"""The reference's forward splatting, number for number, for comparison and for released weights.

What differs from `lyra_data.cache3d.splat` (see the ADR on the cache): surfaces are blended by a
weight that falls exponentially with depth instead of being ordered; the weight's normaliser spans
all frames of a call, so another frame changes this one; a position that lands exactly on a pixel
is counted four times. Source: forward_warp_utils_pytorch.py, bilinear_splatting.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

DEPTH_SHARPNESS = 50.0
LARGEST_EXPONENT = 80.0
HOLE = -1.0
"""Value of an image where nothing was splatted (0 for other quantities)."""


def splat_reference(
    values: Float[Tensor, "frame channel height width"],
    positions: Float[Tensor, "frame 2 height width"],
    depth: Float[Tensor, "frame height width"],
    weights: Float[Tensor, "frame height width"],
    *,
    is_image: bool,
    num_views: int = 1,
) -> tuple[Float[Tensor, "target channel height width"], Bool[Tensor, "target height width"]]:
    """Splat each pixel's values to its position (x, y; integers are pixel centres).

    Args:
        depth: z in the target camera.
        weights: factor per pixel, 0 to leave it out.
        is_image: values lie in [-1, 1]; the result is clamped to it and -1 where unknown.
        num_views: so many successive frames are splatted into one target.

    Returns:
        values (-1 or 0 where unknown), and where any weight arrived.
    """
    num_frames, channels, height, width = values.shape
    padded_height, padded_width = height + 2, width + 2
    log_depth = torch.log1p(depth.clamp(min=0))
    exponent = DEPTH_SHARPNESS * log_depth / (log_depth.max() + 1e-7)
    nearness = weights / (torch.exp(exponent.clamp(max=LARGEST_EXPONENT)) + 1e-7)

    # One pixel of padding on each side catches what lands outside; it is cropped at the end.
    unclamped = positions + 1.0
    low, high = torch.floor(unclamped), torch.ceil(unclamped)
    limit = unclamped.new_tensor([padded_width - 1.0, padded_height - 1.0])[:, None, None]
    inside, low, high = (torch.minimum(each.clamp(min=0), limit) for each in (unclamped, low, high))

    target = torch.arange(num_frames, device=values.device) // num_views
    num_targets = num_frames // num_views
    sums = values.new_zeros(num_targets * padded_height * padded_width, channels + 1)
    for corner_x in (low, high):
        for corner_y in (low, high):
            x, y = corner_x[:, 0], corner_y[:, 1]
            proximity = (1 - (inside[:, 0] - x).abs()) * (1 - (inside[:, 1] - y).abs())
            weight = proximity * nearness
            index = (target[:, None, None] * padded_height + y.long()) * padded_width + x.long()
            weighted = torch.cat([values * weight[:, None], weight[:, None]], dim=1)
            sums.index_add_(0, index.flatten(), rearrange(weighted, "f c h w -> (f h w) c"))

    grid = rearrange(sums, "(f h w) c -> f c h w", h=padded_height, w=padded_width)
    grid = grid[:, :, 1:-1, 1:-1]
    total, known = grid[:, -1:], grid[:, -1] > 0
    hole = torch.full_like(total, HOLE if is_image else 0.0)
    result = torch.where(known[:, None], grid[:, :-1] / total, hole)
    return (result.clamp(-1, 1) if is_image else result), known
