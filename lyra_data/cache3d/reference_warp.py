"""The reference's forward warp: points into a camera, splatted, with its foreground masking."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.cache3d.occlusion import hidden_behind_mesh
from lyra_data.cache3d.reference_splat import HOLE, splat_reference
from lyra_data.cache3d.unproject import pixel_positions, project, transform_points
from lyra_data.cameras import Cameras


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
    depth = camera_points[..., 2]
    grid = rearrange(
        pixel_positions(*depth.shape[1:], pixel_centre=0.0, like=depth), "h w xy -> xy h w"
    )
    positions = rearrange(project(camera_points, targets.intrinsics), "f h w xy -> f xy h w")
    flow = positions - grid
    positions = grid + flow  # rounds as the reference does, which matters where little moves
    weights = weights * (depth > 0)
    warped, known = splat_reference(frames, positions, depth, weights, is_image=True)
    warped_depth, _ = splat_reference(depth[:, None], positions, depth, weights, is_image=False)
    warped_depth = warped_depth[:, 0]
    if boundary is not None:
        hidden = hidden_behind_mesh(camera_points, boundary, warped_depth, targets)
        known = known & ~hidden
        warped = torch.where(hidden[:, None], HOLE, warped)
        warped_depth = torch.where(hidden, 0.0, warped_depth)
    return ReferenceWarp(frames=warped, known=known, depth=warped_depth, flow=flow)
