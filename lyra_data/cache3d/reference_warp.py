"""The reference's forward warp: points into a camera, splatted, with its foreground masking."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.cache3d.occlusion import hidden_behind_mesh
from lyra_data.cache3d.reference_splat import HOLE, splat_reference_with_depth
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.projection import DIVISION_GUARD

GUARD = np.float32(DIVISION_GUARD)


@dataclass(frozen=True)
class ReferenceWarp:
    """Frames [-1, 1] (-1 where unknown), where known, z depth (0 where unknown), pixel flow."""

    frames: Float[Tensor, "frame 3 height width"]
    known: Bool[Tensor, "frame height width"]
    depth: Float[Tensor, "frame height width"]
    flow: Float[Tensor, "frame 2 height width"]


def warp_reference(
    frames: Float[Tensor, "frame 3 height width"],
    world_points: Float[Tensor, "frame height width 3"],
    weights: Float[Tensor, "frame height width"],
    targets: Cameras,
    *,
    boundary: Bool[Tensor, "frame height width"] | None,
) -> ReferenceWarp:
    """Warp image i to target camera i; all images of a call share one depth normaliser.

    Args:
        boundary: source pixels next to a depth edge; given, surfaces across the edges hide what
            lies behind them.
    """
    world_to_camera = torch.linalg.inv(targets.camera_to_world.double()).float()
    targets = targets.to(torch.float32)
    camera_points, positions, flow = _project(world_points, world_to_camera, targets)
    depth = camera_points[:, 2]
    weights = weights * (depth > 0)
    warped, known, warped_depth = splat_reference_with_depth(frames, positions, depth, weights)
    if boundary is not None:
        hidden = hidden_behind_mesh(
            rearrange(camera_points, "f xyz h w -> f h w xyz"), boundary, warped_depth, targets
        )
        known = known & ~hidden
        warped = torch.where(hidden[:, None], HOLE, warped)
        warped_depth = torch.where(hidden, 0.0, warped_depth)
    return ReferenceWarp(frames=warped, known=known, depth=warped_depth, flow=flow)


def _project(
    world_points: Float[Tensor, "frame height width 3"],
    world_to_camera: Float[Tensor, "frame 4 4"],
    targets: Cameras,
) -> tuple[
    Float[Tensor, "frame 3 height width"],
    Float[Tensor, "frame 2 height width"],
    Float[Tensor, "frame 2 height width"],
]:
    """Return points in the target cameras, their positions in pixels, and how far these are from
    where they were; frames are shared among torch's number of threads."""
    num_frames, height, width = world_points.shape[:3]
    camera_points = torch.empty(num_frames, 3, height, width)
    positions = torch.empty(num_frames, 2, height, width)
    flow = torch.empty_like(positions)

    def project_frame(frame: int) -> None:
        _project_frame(
            world_points[frame].contiguous().numpy(),
            world_to_camera[frame].numpy(),
            targets.intrinsics[frame].numpy(),
            camera_points[frame].numpy(),
            positions[frame].numpy(),
            flow[frame].numpy(),
        )

    with ThreadPoolExecutor(max(1, min(num_frames, torch.get_num_threads()))) as pool:
        list(pool.map(project_frame, range(num_frames)))
    return camera_points, positions, flow


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _project_frame(world_points, world_to_camera, intrinsics, camera_points, position, flow):
    """Compute what `transform_points` and `project_as_reference` of scene/projection.py compute.

    Positions go by way of the flow, position minus pixel, and back, which rounds as the reference
    does: where little moves, a position that lands exactly on a pixel counts four times there.
    """
    fx, fy, cx, cy = intrinsics
    for row in range(world_points.shape[0]):
        for column in range(world_points.shape[1]):
            point = world_points[row, column]
            for axis in range(3):
                m = world_to_camera[axis]
                rotated = m[0] * point[0] + m[1] * point[1] + m[2] * point[2]
                camera_points[axis, row, column] = rotated + m[3]
            x, y, z = camera_points[:, row, column]
            guarded = z + GUARD
            to_right = (fx * x + cx * z) / guarded - np.float32(column)
            to_bottom = (fy * y + cy * z) / guarded - np.float32(row)
            flow[0, row, column] = to_right
            flow[1, row, column] = to_bottom
            position[0, row, column] = np.float32(column) + to_right
            position[1, row, column] = np.float32(row) + to_bottom
