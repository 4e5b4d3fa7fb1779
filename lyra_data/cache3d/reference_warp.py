"""The reference's forward warp: points into a camera, splatted, with its foreground masking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.cache3d.occlusion import hidden_behind_mesh
from lyra_data.cache3d.reference_splat import HOLE, splat_reference_with_depth
from lyra_data.cache3d.unproject import DIVISION_GUARD, transform_points
from lyra_data.cameras import Cameras

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
    camera_points = transform_points(world_points, world_to_camera)
    positions, flow, depth = _project(camera_points, targets)
    weights = weights * (depth > 0)
    warped, known, warped_depth = splat_reference_with_depth(frames, positions, depth, weights)
    if boundary is not None:
        hidden = hidden_behind_mesh(camera_points, boundary, warped_depth, targets)
        known = known & ~hidden
        warped = torch.where(hidden[:, None], HOLE, warped)
        warped_depth = torch.where(hidden, 0.0, warped_depth)
    return ReferenceWarp(frames=warped, known=known, depth=warped_depth, flow=flow)


def _project(
    camera_points: Float[Tensor, "frame height width 3"], targets: Cameras
) -> tuple[
    Float[Tensor, "frame 2 height width"],
    Float[Tensor, "frame 2 height width"],
    Float[Tensor, "frame height width"],
]:
    """Positions in pixels, how far they are from where they were, and z depth."""
    num_frames, height, width = camera_points.shape[:3]
    positions = torch.empty(num_frames, 2, height, width)
    flow = torch.empty_like(positions)
    depth = camera_points[..., 2].contiguous()
    for frame in range(num_frames):
        _project_frame(
            camera_points[frame].contiguous().numpy(),
            targets.intrinsics[frame].numpy(),
            positions[frame].numpy(),
            flow[frame].numpy(),
        )
    return positions, flow, depth


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _project_frame(camera_points, intrinsics, position, flow):
    """`lyra_data.cache3d.unproject.project`, and the way back from flow to positions, which
    rounds as the reference does: that matters where little moves."""
    height, width = camera_points.shape[:2]
    fx, fy, cx, cy = intrinsics
    for row in range(height):
        for column in range(width):
            x, y, z = camera_points[row, column]
            guarded = z + GUARD
            to_right = (fx * x + cx * z) / guarded - np.float32(column)
            to_bottom = (fy * y + cy * z) / guarded - np.float32(row)
            flow[0, row, column] = to_right
            flow[1, row, column] = to_bottom
            position[0, row, column] = np.float32(column) + to_right
            position[1, row, column] = np.float32(row) + to_bottom
