"""Depth-ordered forward splatting: what a source image with depth shows in another camera.

Two passes over the source pixels of one frame. The first finds, for every target pixel, the
nearest depth that covers it; the second averages the colours of the surface at that depth, and of
nothing in front of it or behind. So a nearer surface hides a farther one completely, the result
depends on this frame alone, and an unchanged camera gives back the source bit for bit.

A source pixel covers a tent as wide as its surface is stretched (at least one pixel to each side),
measured from the distance to its neighbours on the same surface: magnified surfaces have no
pinholes, and for an even stretch the tents sum to one and reproduce linear ramps exactly. Inverse
depth is averaged rather than depth, because that is what is linear across the picture of a plane.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.cameras import Cameras

SUBPIXEL = 4096.0
"""Positions are rounded to 1/4096 pixel, so that rounding errors of an unchanged camera vanish."""

LEAST_COVERAGE = 1.0 / 16.0
"""Tent weight from which a source pixel covers a target pixel: 3/4 of a pixel along one axis."""

SAME_SURFACE = 0.03
"""Relative difference of depth within which two pixels belong to one surface."""

LARGEST_STRETCH = 4.0
"""Surfaces seen so obliquely that they stretch further are left with holes."""

HOLE = -1.0


@dataclass(frozen=True)
class SplatSource:
    """One source image as the splatter takes it.

    Attributes:
        frame: colours, [-1, 1].
        depth: z depth; read only where `occluding`.
        shown: True on pixels whose colour may appear.
        occluding: True on pixels that hide what lies behind them; includes `shown`.
    """

    frame: Float[Tensor, "3 height width"]
    depth: Float[Tensor, "height width"]
    shown: Bool[Tensor, "height width"]
    occluding: Bool[Tensor, "height width"]
    camera: Cameras


def splat(
    sources: list[SplatSource], targets: Cameras, *, pixel_centre: float
) -> tuple[
    Float[Tensor, "frame 3 height width"],
    Bool[Tensor, "frame height width"],
    Float[Tensor, "frame height width"],
]:
    """Splat source i into target camera i; frames are shared among torch's number of threads.

    Returns:
        frames ([-1, 1], -1 where unknown), where they are known, and z depth (0 where unknown).
    """
    assert len(sources) == len(targets)
    shape = (len(targets), targets.height, targets.width)
    frames = torch.full((shape[0], 3, *shape[1:]), HOLE)
    known = torch.zeros(shape, dtype=torch.bool)
    depth = torch.zeros(shape)

    def splat_every(first: int) -> None:
        # Working memory is made once per thread: fresh pages cost as much as the splatting.
        at_source = np.empty((5, *sources[0].depth.shape))
        at_target = np.empty((*shape[1:], 6))
        for index in range(first, len(sources), num_workers):
            source, target = sources[index], targets[[index]]
            target_from_world = torch.linalg.inv(target.camera_to_world[0].double())
            _splat_frame(
                source.frame.numpy(),
                source.depth.numpy(),
                source.shown.numpy(),
                source.occluding.numpy(),
                (target_from_world @ source.camera.camera_to_world[0].double()).numpy(),
                source.camera.intrinsics[0].double().numpy(),
                target.intrinsics[0].double().numpy(),
                pixel_centre,
                at_source,
                at_target,
                frames[index].numpy(),
                known[index].numpy(),
                depth[index].numpy(),
            )

    num_workers = max(1, min(len(sources), torch.get_num_threads()))
    with ThreadPoolExecutor(num_workers) as pool:
        list(pool.map(splat_every, range(num_workers)))
    return frames, known, depth


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _splat_frame(
    source_frame,
    source_depth,
    shown,
    occluding,
    target_from_source,
    source_intrinsics,
    target_intrinsics,
    pixel_centre,
    at_source,
    at_target,
    frame,
    known,
    depth,
):
    """One frame; writes into the last three arguments, and works in the two before."""
    height, width = frame.shape[1:]
    x, y, z, half_x, half_y = at_source
    _project(
        source_depth,
        occluding,
        target_from_source,
        source_intrinsics,
        target_intrinsics,
        pixel_centre,
        x,
        y,
        z,
    )
    _tents(source_depth, x, y, z, source_intrinsics, target_intrinsics, half_x, half_y)

    # Per target pixel: red, green, blue, inverse depth, weight; and the nearest depth.
    sums = at_target
    sums[:] = 0.0
    sums[:, :, 5] = np.inf
    for row in range(z.shape[0]):
        for column in range(z.shape[1]):
            here = z[row, column]
            if here <= 0.0:
                continue
            px, py = x[row, column], y[row, column]
            rx, ry = half_x[row, column], half_y[row, column]
            per_x, per_y = 1.0 / rx, 1.0 / ry
            for j in range(max(0, int(np.ceil(py - ry))), min(height, int(np.floor(py + ry)) + 1)):
                weight_y = 1.0 - abs(j - py) * per_y
                for i in range(
                    max(0, int(np.ceil(px - rx))), min(width, int(np.floor(px + rx)) + 1)
                ):
                    weight = weight_y * (1.0 - abs(i - px) * per_x)
                    if weight >= LEAST_COVERAGE and here < sums[j, i, 5]:
                        sums[j, i, 5] = here

    for row in range(z.shape[0]):
        for column in range(z.shape[1]):
            here = z[row, column]
            if here <= 0.0 or not shown[row, column]:
                continue
            inverse = 1.0 / here
            red = source_frame[0, row, column]
            green = source_frame[1, row, column]
            blue = source_frame[2, row, column]
            px, py = x[row, column], y[row, column]
            rx, ry = half_x[row, column], half_y[row, column]
            per_x, per_y = 1.0 / rx, 1.0 / ry
            for j in range(max(0, int(np.ceil(py - ry))), min(height, int(np.floor(py + ry)) + 1)):
                weight_y = 1.0 - abs(j - py) * per_y
                for i in range(
                    max(0, int(np.ceil(px - rx))), min(width, int(np.floor(px + rx)) + 1)
                ):
                    weight = weight_y * (1.0 - abs(i - px) * per_x)
                    front = sums[j, i, 5]
                    if weight > 0.0 and abs(here - front) <= SAME_SURFACE * front:
                        sums[j, i, 0] += weight * red
                        sums[j, i, 1] += weight * green
                        sums[j, i, 2] += weight * blue
                        sums[j, i, 3] += weight * inverse
                        sums[j, i, 4] += weight

    for j in range(height):
        for i in range(width):
            total = sums[j, i, 4]
            if total >= LEAST_COVERAGE:
                known[j, i] = True
                depth[j, i] = total / sums[j, i, 3]
                for channel in range(3):
                    frame[channel, j, i] = min(1.0, max(-1.0, sums[j, i, channel] / total))


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _project(
    source_depth,
    occluding,
    target_from_source,
    source_intrinsics,
    target_intrinsics,
    pixel_centre,
    x,
    y,
    z,
):
    """Target column, row and z of every source pixel; z is 0 where it must not be splatted."""
    height, width = source_depth.shape
    z[:] = 0.0
    sfx, sfy, scx, scy = source_intrinsics
    tfx, tfy, tcx, tcy = target_intrinsics
    m = target_from_source
    for row in range(height):
        down = (row + pixel_centre - scy) / sfy
        for column in range(width):
            if not occluding[row, column]:
                continue
            pz = source_depth[row, column]
            px = (column + pixel_centre - scx) / sfx * pz
            py = down * pz
            tz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            if tz <= 1e-6 * pz:  # behind the camera, or so near its plane that the ray is lost
                continue
            tx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            ty = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            u = tfx * tx / tz + tcx - pixel_centre
            v = tfy * ty / tz + tcy - pixel_centre
            if abs(u) > 1e6 or abs(v) > 1e6:
                continue
            x[row, column] = np.rint(u * SUBPIXEL) / SUBPIXEL
            y[row, column] = np.rint(v * SUBPIXEL) / SUBPIXEL
            z[row, column] = tz


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _tents(source_depth, x, y, z, source_intrinsics, target_intrinsics, half_x, half_y):
    """Half width and height in pixels of the tent that every source pixel covers."""
    height, width = z.shape
    for row in range(height):
        for column in range(width):
            if z[row, column] <= 0.0:
                continue
            here = source_depth[row, column]
            stretch_x, stretch_y = 0.0, 0.0
            found = False
            for axis in range(2):
                for side in (1, -1):  # the next neighbour on the same surface, or else the last
                    r = row + (side if axis == 1 else 0)
                    c = column + (side if axis == 0 else 0)
                    if r < 0 or r >= height or c < 0 or c >= width or z[r, c] <= 0.0:
                        continue
                    if abs(source_depth[r, c] - here) > SAME_SURFACE * here:
                        continue
                    stretch_x = max(stretch_x, abs(x[r, c] - x[row, column]))
                    stretch_y = max(stretch_y, abs(y[r, c] - y[row, column]))
                    found = True
                    break
            if not found:  # a lone pixel: as if it faced the camera
                ratio = here / z[row, column]
                stretch_x = ratio * target_intrinsics[0] / source_intrinsics[0]
                stretch_y = ratio * target_intrinsics[1] / source_intrinsics[1]
                stretch_x = np.rint(stretch_x * SUBPIXEL) / SUBPIXEL
                stretch_y = np.rint(stretch_y * SUBPIXEL) / SUBPIXEL
            half_x[row, column] = min(max(stretch_x, 1.0), LARGEST_STRETCH)
            half_y[row, column] = min(max(stretch_y, 1.0), LARGEST_STRETCH)
