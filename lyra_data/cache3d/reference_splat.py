"""The reference's forward splatting, number for number, for comparison and for released weights.

What differs from `lyra_data.cache3d.splat` (see the ADR on the cache): surfaces are blended by a
weight that falls exponentially with depth instead of being ordered; the weight's normaliser spans
all frames of a call, so another frame changes this one; a position that lands exactly on a pixel
is counted four times. Source: forward_warp_utils_pytorch.py, bilinear_splatting.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

DEPTH_SHARPNESS = 50.0
LARGEST_EXPONENT = 80.0

HOLE = -1.0
"""Value of an image where nothing was splatted (0 for other quantities)."""

ONE, ZERO = np.float32(1.0), np.float32(0.0)


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
    channels = list(values.unbind(1))
    num_colours = len(channels) if is_image else 0
    return _splat(channels, positions, _nearness(depth, weights), num_colours, num_views)


def splat_reference_with_depth(
    frames: Float[Tensor, "frame 3 height width"],
    positions: Float[Tensor, "frame 2 height width"],
    depth: Float[Tensor, "frame height width"],
    weights: Float[Tensor, "frame height width"],
) -> tuple[
    Float[Tensor, "frame 3 height width"],
    Bool[Tensor, "frame height width"],
    Float[Tensor, "frame height width"],
]:
    """Splat the frames as images, and the depth, in one go; see `splat_reference`.

    Returns:
        frames, where they are known, z depth (0 where unknown).
    """
    channels = [*frames.unbind(1), depth.contiguous()]
    result, known = _splat(channels, positions, _nearness(depth, weights), 3, 1)
    return result[:, :3], known, result[:, 3]


def _nearness(
    depth: Float[Tensor, "frame height width"], weights: Float[Tensor, "frame height width"]
) -> Float[Tensor, "frame height width"]:
    """Return the weights, falling with depth: relative to the farthest pixel of all frames."""
    # weight / exp(50 log(1 + z) / log(1 + farthest)): a surface at half the farthest's log depth
    # outweighs the farthest by e^25. It is the farthest of all frames of a call, so that frames
    # influence one another.
    log_depth = depth.clamp(min=0).log1p_()
    farthest = log_depth.max() + 1e-7
    exponent = log_depth.mul_(DEPTH_SHARPNESS).div_(farthest).clamp_(max=LARGEST_EXPONENT)
    return weights / exponent.exp_().add_(1e-7)


def _splat(
    channels: list[Float[Tensor, "frame height width"]],
    positions: Float[Tensor, "frame 2 height width"],
    nearness: Float[Tensor, "frame height width"],
    num_colours: int,
    num_views: int,
) -> tuple[Float[Tensor, "target channel height width"], Bool[Tensor, "target height width"]]:
    """Return the mean of the values that arrive at each pixel; the first `num_colours` are
    colours."""
    num_frames, height, width = nearness.shape
    num_targets = num_frames // num_views
    result = torch.empty(num_targets, len(channels), height, width)
    known = torch.empty(num_targets, height, width, dtype=torch.bool)

    def splat_into(target: int) -> None:
        # One pixel of padding on each side catches what lands outside; it is cropped at the end.
        sums = np.zeros((height + 2, width + 2, len(channels) + 1), np.float32)
        # One corner of all pixels after the other, so that sums round as the reference's do.
        for corner in range(4):
            for frame in range(target * num_views, (target + 1) * num_views):
                values = tuple(channel[frame].contiguous().numpy() for channel in channels)
                x, y = positions[frame].contiguous().numpy()
                _scatter(corner, values, x, y, nearness[frame].contiguous().numpy(), sums)
        _normalise(sums, num_colours, result[target].numpy(), known[target].numpy())

    with ThreadPoolExecutor(max(1, min(num_targets, torch.get_num_threads()))) as pool:
        list(pool.map(splat_into, range(num_targets)))
    return result, known


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _scatter(corner, values, x, y, nearness, sums):
    """Add every pixel to the top left (corner 0), bottom left, top right or bottom right (3) of
    the four around its position, and its weight behind the values."""
    height, width = nearness.shape
    pixels = sums.reshape(-1, sums.shape[2])
    indices, weights = np.empty(width, np.int32), np.empty(width, np.float32)
    for row in range(height):
        _approach(corner, x[row], y[row], nearness[row], height, indices, weights)
        for column in range(width):
            pixel, weight = pixels[np.uint64(indices[column])], weights[column]
            for channel in range(len(values)):
                pixel[channel] += values[channel][row, column] * weight
            pixel[len(values)] += weight


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _approach(corner, x, y, nearness, height, indices, weights):
    """Choose the pixel of the padded target that each pixel of a row goes to, and its weight there.

    A loop of its own and without branches, so that it compiles to vector instructions.
    """
    limit_x, limit_y = np.float32(len(x) + 1), np.float32(height + 1)
    to_right, to_bottom = corner // 2 == 1, corner % 2 == 1
    for column in range(len(x)):
        right, down = x[column] + ONE, y[column] + ONE  # into the padded target
        # floor and ceil are one pixel where a position is whole: it is then added at all corners.
        corner_x = _clamp(np.ceil(right) if to_right else np.floor(right), limit_x)
        corner_y = _clamp(np.ceil(down) if to_bottom else np.floor(down), limit_y)
        proximity_x = ONE - abs(_clamp(right, limit_x) - corner_x)
        proximity_y = ONE - abs(_clamp(down, limit_y) - corner_y)
        weights[column] = proximity_x * proximity_y * nearness[column]
        indices[column] = np.int32(corner_y) * np.int32(len(x) + 2) + np.int32(corner_x)


@numba.njit(inline="always", error_model="numpy")
@no_type_check
def _clamp(value, limit):
    return min(max(value, ZERO), limit)


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _normalise(sums, num_colours, result, known):
    channels, height, width = result.shape
    for row in range(height):
        pixels = sums[row + 1]
        for column in range(width):
            known[row, column] = pixels[column + 1, channels] > ZERO
        for channel in range(channels):
            means = result[channel, row]
            limit = ONE if channel < num_colours else np.float32(np.inf)
            hole = np.float32(HOLE) if channel < num_colours else ZERO
            for column in range(width):
                total = pixels[column + 1, channels]
                mean = min(max(pixels[column + 1, channel] / total, -limit), limit)
                means[column] = mean if total > ZERO else hole
