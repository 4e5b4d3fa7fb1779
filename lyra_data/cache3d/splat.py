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

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.cache3d.splat_kernels import splat_frame
from lyra_data.scene.cameras import Cameras


@dataclass(frozen=True)
class SplatSource:
    """One source image as the splatter takes it.

    Attributes:
        frame: colours, [-1, 1].
        depth: z depth; read only where `occluding`.
        visible: True on pixels whose colour may appear.
        occluding: True on pixels that hide what lies behind them; includes `visible`.
    """

    frame: Float[Tensor, "3 height width"]
    depth: Float[Tensor, "height width"]
    visible: Bool[Tensor, "height width"]
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
    frames = torch.empty(shape[0], 3, *shape[1:])
    known = torch.empty(shape, dtype=torch.bool)
    depth = torch.empty(shape)

    def splat_every(first: int) -> None:
        # Working memory is made once per thread: fresh pages cost as much as the splatting.
        front, sums = np.empty(shape[1:], np.float32), np.empty((*shape[1:], 5), np.float32)
        for index in range(first, len(sources), num_workers):
            source, target = sources[index], targets[[index]]
            projection, across, down, focal_ratio = _geometry(source.camera, target, pixel_centre)
            splat_frame(
                source.frame.numpy(),
                source.depth.numpy(),
                source.visible.numpy(),
                source.occluding.numpy(),
                projection,
                across,
                down,
                focal_ratio,
                front,
                sums,
                frames[index].numpy(),
                known[index].numpy(),
                depth[index].numpy(),
            )

    num_workers = max(1, min(len(sources), torch.get_num_threads()))
    with ThreadPoolExecutor(num_workers) as pool:
        list(pool.map(splat_every, range(num_workers)))
    return frames, known, depth


def _geometry(
    source: Cameras, target: Cameras, pixel_centre: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arguments of `splat_frame` from `projection` to `focal_ratio`, of one camera
    each."""
    fx, fy, cx, cy = source.intrinsics[0].double().numpy()
    across = (np.arange(source.width) + pixel_centre - cx) / fx
    down = (np.arange(source.height) + pixel_centre - cy) / fy
    # The target's pixels count from their centres, so that a position of (i, j) is pixel (i, j).
    to_fx, to_fy, to_cx, to_cy = target.intrinsics[0].double().numpy()
    to_pixels = np.array(
        [[to_fx, 0, to_cx - pixel_centre], [0, to_fy, to_cy - pixel_centre], [0, 0, 1]]
    )
    target_from_world = np.linalg.inv(target.camera_to_world[0].double().numpy())
    target_from_source = target_from_world @ source.camera_to_world[0].double().numpy()
    # One matrix from the source's camera to the target's pixels: float64, for it takes the
    # difference of large translations when both cameras are far from the world's origin.
    projection = to_pixels @ target_from_source[:3]
    return projection, across, down, np.array([to_fx / fx, to_fy / fy], np.float32)
