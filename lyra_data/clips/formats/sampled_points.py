"""Sampled points: a sparse cloud of a clip's known depth, with the frames that see each point.

Viewers and trainers of COLMAP's and nerfstudio's datasets start from such points. Things that move
have no one place, so they give none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from lyra_data.scene.cameras import PIXEL_CENTRE
from lyra_data.scene.clip import Clip
from lyra_data.scene.projection import to_pixels

MOST_POINTS = 20_000
"""Points of all frames together: enough to start from, few enough to be shown."""

AGREEMENT = 0.02
"""A frame sees a point where its own depth differs from the point's by no more than this share."""


@dataclass(frozen=True)
class SampledPoints:
    """Points in the world, each seen by one frame or more.

    Attributes:
        positions: in the unit of the poses.
        colours: RGB in the frame that the point was taken from.
        observed_point, observed_frame: one entry an observation, sorted by frame, then point.
        observed_at: column and row of each, in pixels.
    """

    positions: Float64[np.ndarray, "point 3"]
    colours: UInt8[np.ndarray, "point 3"]
    observed_point: Int64[np.ndarray, " observation"]
    observed_frame: Int64[np.ndarray, " observation"]
    observed_at: Float64[np.ndarray, "observation 2"]


def sample_points(clip: Clip) -> SampledPoints:
    """Choose pixels on a regular grid, the same in every frame, at most MOST_POINTS in all."""
    height, width = clip.cameras.height, clip.cameras.width
    usable = clip.depth_valid.numpy().copy()
    if clip.dynamic_mask is not None:
        usable &= ~clip.dynamic_mask.numpy()
    step = max(1, int(np.ceil(np.sqrt(len(clip) * height * width / MOST_POINTS))))
    on_grid = np.zeros((height, width), dtype=bool)
    on_grid[step // 2 :: step, step // 2 :: step] = True
    frame, row, column = np.nonzero(usable & on_grid)
    depth = clip.depth.numpy().astype(np.float64)
    fx, fy, cx, cy = clip.cameras.intrinsics.double().numpy()[frame].T
    z = depth[frame, row, column]
    local = np.stack(
        [(column + PIXEL_CENTRE - cx) / fx * z, (row + PIXEL_CENTRE - cy) / fy * z, z], -1
    )
    poses = clip.cameras.camera_to_world.double().numpy()
    positions = np.einsum("pij,pj->pi", poses[frame, :3, :3], local) + poses[frame, :3, 3]
    colours = clip.frames.numpy()[frame, :, row, column]
    seen = [
        _seen_by(index, positions, frame, depth[index], usable[index], clip)
        for index in range(len(clip))
    ]
    return SampledPoints(
        positions=positions,
        colours=np.ascontiguousarray(colours, dtype=np.uint8),
        observed_point=np.concatenate([points for points, _ in seen]),
        observed_frame=np.repeat(np.arange(len(clip)), [len(points) for points, _ in seen]),
        observed_at=np.concatenate([positions for _, positions in seen]),
    )


def _seen_by(
    index: int,
    positions: Float64[np.ndarray, "point 3"],
    taken_from: Int64[np.ndarray, " point"],
    depth: Float64[np.ndarray, "height width"],
    usable: np.ndarray,
    clip: Clip,
) -> tuple[Int64[np.ndarray, " seen"], Float64[np.ndarray, "seen 2"]]:
    """Return the points that a frame sees, and where: its own, and others that its depth
    confirms."""
    world_to_camera = clip.cameras.world_to_camera[index].double().numpy()
    local = positions @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    fx, fy, cx, cy = clip.cameras.intrinsics[index].double().numpy()
    x, y, z = local.T
    in_front = z > 0
    divisor = np.where(in_front, z, 1.0)  # points behind are left out below
    position = np.stack(to_pixels((x, y, divisor), (fx, fy, cx, cy)), -1)
    height, width = depth.shape
    inside = (position >= 0).all(1) & (position[:, 0] < width) & (position[:, 1] < height)
    inside = in_front & inside
    column, row = np.where(inside[:, None], position, 0.0).astype(np.int64).T
    agrees = np.abs(depth[row, column] - z) <= AGREEMENT * z
    seen = (inside & usable[row, column] & agrees) | (taken_from == index)
    points = np.nonzero(seen)[0]
    return points, position[points]
