"""Depth to points and points to pixels, under either convention of where a pixel's centre lies."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras

DIVISION_GUARD = 1e-7
"""Added to z before the perspective divide, as in the reference; far below float32's spacing for
any depth that is not itself negligible."""


def pixel_positions(
    height: int, width: int, *, pixel_centre: float, like: Tensor
) -> Float[Tensor, "height width 2"]:
    """Positions (x, y) of all pixel centres; `like` gives the type and device."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device) + pixel_centre
    columns = torch.arange(width, dtype=like.dtype, device=like.device) + pixel_centre
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1)


def pixel_directions(
    cameras: Cameras, *, pixel_centre: float
) -> Float[Tensor, "frame height width 3"]:
    """Directions in the camera through every pixel centre, with z = 1."""
    position = pixel_positions(
        cameras.height, cameras.width, pixel_centre=pixel_centre, like=cameras.intrinsics
    )
    homogeneous = torch.cat([position, torch.ones_like(position[..., :1])], dim=-1)
    # The inverse matrix, not (x - cx) / fx: it rounds as the reference does.
    inverse = torch.linalg.inv(cameras.intrinsic_matrices)
    return torch.einsum("fij,hwj->fhwi", inverse, homogeneous)


def unproject(
    depth: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
    cameras: Cameras,
    *,
    pixel_centre: float,
    depth_is_distance: bool = False,
) -> Float[Tensor, "frame height width 3"]:
    """World points of every pixel; (0, 0, 0) where `valid` is False, so use it with the mask.

    Args:
        depth_is_distance: `depth` is the distance along the ray rather than z.
    """
    directions = pixel_directions(cameras, pixel_centre=pixel_centre)
    if depth_is_distance:
        directions = torch.nn.functional.normalize(directions, dim=-1)
    points = transform_points(directions * depth[..., None], cameras.camera_to_world)
    return torch.where(valid[..., None], points, torch.zeros_like(points))


def transform_points(
    points: Float[Tensor, "frame height width 3"], target_from_source: Float[Tensor, "frame 4 4"]
) -> Float[Tensor, "frame height width 3"]:
    """Rigid transforms of images of points, one per frame."""
    rotation, translation = target_from_source[:, :3, :3], target_from_source[:, :3, 3]
    rotated = torch.einsum("fij,fhwj->fhwi", rotation, points)
    return rotated + translation[:, None, None, :]


def project(
    camera_points: Float[Tensor, "frame height width 3"], intrinsics: Float[Tensor, "frame 4"]
) -> Float[Tensor, "frame height width 2"]:
    """Positions (x, y) in pixels of points in the camera's frame; meaningless where z <= 0."""
    x, y, z = camera_points.unbind(-1)
    fx, fy, cx, cy = intrinsics[:, None, None, :].unbind(-1)
    guarded = z + DIVISION_GUARD
    return torch.stack([(fx * x + cx * z) / guarded, (fy * y + cy * z) / guarded], dim=-1)
