"""Depth to points and points to pixels, under either convention of where a pixel's centre lies.

A pixel (column i, row j) has its centre at (i + c, j + c): c = 0.5 by the project's convention, 0
in the reference's cache (see cameras.py). Every function that needs it takes `pixel_centre`.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras

DIVISION_GUARD = 1e-7
"""Added to z before the perspective divide, as in the reference; far below float32's spacing for
any depth that is not itself negligible."""

LEAST_DEPTH = 1e-6
"""Points nearer than this, or behind the camera, are projected as if they lay at this depth."""

Values = TypeVar("Values", Tensor, np.ndarray)


def pixel_positions(
    height: int, width: int, *, pixel_centre: float, like: Tensor
) -> Float[Tensor, "height width 2"]:
    """Return positions (x, y) of all pixel centres; `like` gives the type and device."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device) + pixel_centre
    columns = torch.arange(width, dtype=like.dtype, device=like.device) + pixel_centre
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1)


def pixel_directions(
    cameras: Cameras, *, pixel_centre: float
) -> Float[Tensor, "frame height width 3"]:
    """Return directions in the camera through every pixel centre, with z = 1."""
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
    """Return world points of every pixel; (0, 0, 0) where `valid` is False: use it with the mask.

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
    """Move images of points by rigid transforms, one per frame."""
    rotation, translation = target_from_source[:, :3, :3], target_from_source[:, :3, 3]
    rotated = torch.einsum("fij,fhwj->fhwi", rotation, points)
    return rotated + translation[:, None, None, :]


def to_pixels(
    camera_points: tuple[Values, Values, Values], intrinsics: tuple[Values, Values, Values, Values]
) -> tuple[Values, Values]:
    """Return columns fx x / z + cx and rows fy y / z + cy, in pixels, of points before a camera.

    The one pinhole formula for torch and NumPy; arguments broadcast.

    Args:
        camera_points: x, y, z in the camera's frame; z must not be 0.
        intrinsics: fx, fy, cx, cy, by which convention the result's pixel centres are too.
    """
    x, y, z = camera_points
    fx, fy, cx, cy = intrinsics
    return fx * x / z + cx, fy * y / z + cy


def project(points: Float[Tensor, "point 3"], cameras: Cameras) -> Float[Tensor, "frame point 2"]:
    """Return the pixels (x, y) where every camera sees world points.

    Points at or behind a camera land far outside the picture.
    """
    world_to_camera = cameras.world_to_camera
    inside = torch.einsum("fij,pj->fpi", world_to_camera[:, :3, :3], points)
    x, y, z = (inside + world_to_camera[:, None, :3, 3]).unbind(-1)
    fx, fy, cx, cy = (value[:, None] for value in cameras.intrinsics.unbind(-1))
    return torch.stack(to_pixels((x, y, z.clamp(min=LEAST_DEPTH)), (fx, fy, cx, cy)), dim=-1)


def project_as_reference(
    camera_points: Float[Tensor, "frame height width 3"], intrinsics: Float[Tensor, "frame 4"]
) -> Float[Tensor, "frame height width 2"]:
    """Return positions (x, y) in pixels of points in the camera's frame, rounded as the reference.

    It multiplies by the intrinsic matrix and divides by the guarded z afterwards, so this is not
    `to_pixels` to the last bit. Meaningless where z <= 0.
    Source: forward_warp_utils_pytorch.py, which adds 1e-7 to z too.
    """
    x, y, z = camera_points.unbind(-1)
    fx, fy, cx, cy = intrinsics[:, None, None, :].unbind(-1)
    guarded = z + DIVISION_GUARD
    return torch.stack([(fx * x + cx * z) / guarded, (fy * y + cy * z) / guarded], dim=-1)
