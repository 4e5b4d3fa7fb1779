"""Reliability of depth, and the surfaces between unreliable pixels that hide what lies behind."""

from __future__ import annotations

import math
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.projection import pixel_directions, project_as_reference

WINDOW = 5
MESH_STEP = 4
"""The occluding mesh has a vertex for every 4x4 pixels."""

MESH_MARGIN = 0.02
"""A pixel is hidden when it lies further behind the mesh than this, in the depth's units."""


def reliable_depth(
    depth: Float[Tensor, "frame height width"],
    valid: Bool[Tensor, "frame height width"],
    *,
    threshold: float,
    window: int = WINDOW,
) -> Bool[Tensor, "frame height width"]:
    """Return True where known depth varies little in a window: (max - min) / mean < threshold.

    Only known depths inside the picture take part, so neither the border nor a hole makes its
    neighbours unreliable.
    """
    known = valid[:, None].float()
    lowest, highest = _range(depth, valid, window)
    counted = avg_pool2d(known, window, stride=1, padding=window // 2)
    total = avg_pool2d(depth[:, None] * known, window, stride=1, padding=window // 2)
    mean = total / counted.clamp(min=1e-12)
    steady = (highest - lowest) / mean.clamp(min=1e-12)[:, 0] < threshold
    return steady & valid


def reliable_depth_reference(
    depth: Float[Tensor, "frame height width"], *, threshold: float, window: int = WINDOW
) -> Bool[Tensor, "frame height width"]:
    """Judge by the reference's rule: unknown depth is 0, and so is the outside, in the mean only.

    Source: forward_warp_utils_pytorch.py, reliable_depth_mask_range_batch.
    """
    lowest, highest = _range(depth, torch.ones_like(depth, dtype=torch.bool), window)
    mean = avg_pool2d(depth[:, None], window, stride=1, padding=window // 2)[:, 0]
    return ((highest - lowest) / (mean + 1e-6) < threshold) & (depth > 0)


def _range(
    depth: Float[Tensor, "frame height width"],
    counted: Bool[Tensor, "frame height width"],
    window: int,
) -> tuple[Float[Tensor, "frame height width"], Float[Tensor, "frame height width"]]:
    """Return the lowest and the highest counted depth in the window around each pixel."""
    # max_pool2d pads with minus infinity, so the outside takes no part; the minimum is the
    # negative of the maximum of the negatives.
    low = torch.where(counted, -depth, -math.inf)[:, None]
    high = torch.where(counted, depth, -math.inf)[:, None]
    lowest = -max_pool2d(low, window, stride=1, padding=window // 2)[:, 0]
    return lowest, max_pool2d(high, window, stride=1, padding=window // 2)[:, 0]


def hidden_behind_mesh(
    camera_points: Float[Tensor, "frame height width 3"],
    boundary: Bool[Tensor, "frame height width"],
    depth: Float[Tensor, "frame height width"],
    cameras: Cameras,
) -> Bool[Tensor, "frame height width"]:
    """Return True where a warped depth lies behind the surface that spans the source's depth edges.

    Args:
        camera_points: the source's points in the target camera.
        boundary: True on source pixels next to a depth edge.
        depth: warped z depth in the target, 0 where unknown.
    """
    rays = pixel_rays(cameras)
    hidden = torch.zeros_like(boundary)
    for frame in range(len(cameras)):
        vertices, faces = boundary_mesh(camera_points[frame], boundary[frame])
        distance = nearest_hit(rays[frame], vertices, faces, cameras.intrinsics[[frame]])
        mesh_depth = distance * rays[frame, ..., 2]
        hidden[frame] = (distance > 0) & (mesh_depth + MESH_MARGIN < depth[frame])
    return hidden


def pixel_rays(cameras: Cameras) -> Float[Tensor, "frame height width 3"]:
    """Return unit directions through integer pixel positions, in the camera."""
    directions = pixel_directions(cameras, pixel_centre=0.0)
    x, y, z = directions.unbind(-1)
    return directions / (x * x + y * y + z * z).sqrt_()[..., None]  # normalize() is far slower


def boundary_mesh(
    points: Float[Tensor, "height width 3"], boundary: Bool[Tensor, "height width"]
) -> tuple[Float[Tensor, "vertex 3"], Int[Tensor, "face 3"]]:
    """Return the triangles of the coarse cells that touch the boundary."""
    height, width = (size // MESH_STEP for size in boundary.shape)
    channels_first = points.permute(2, 0, 1)[None]
    vertices = interpolate(channels_first, size=(height, width), mode="bilinear")[0]
    edge = interpolate(boundary[None, None].float(), size=(height, width), mode="nearest")[0, 0] > 0
    index = torch.arange(height * width).reshape(height, width)
    corners = (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
    touched = edge[:-1, :-1] | edge[:-1, 1:] | edge[1:, :-1] | edge[1:, 1:]
    top_left, top_right, bottom_left, bottom_right = (corner[touched] for corner in corners)
    faces = torch.cat(
        [
            torch.stack([top_left, top_right, bottom_left], dim=-1),
            torch.stack([top_right, bottom_right, bottom_left], dim=-1),
        ]
    )
    used, faces = torch.unique(faces, return_inverse=True)
    return vertices.permute(1, 2, 0).reshape(-1, 3)[used], faces


def nearest_hit(
    rays: Float[Tensor, "height width 3"],
    vertices: Float[Tensor, "vertex 3"],
    faces: Int[Tensor, "face 3"],
    intrinsics: Float[Tensor, "1 4"],
) -> Float[Tensor, "height width"]:
    """Return the distance along each pixel's ray, from the camera, to the nearest triangle; 0 for
    none."""
    boxes = _pixel_boxes(vertices[faces], intrinsics, *rays.shape[:2])
    distance = np.zeros(rays.shape[:2], dtype=np.float64)
    _intersect(rays.double().numpy(), vertices[faces].double().numpy(), boxes.numpy(), distance)
    return torch.from_numpy(distance).to(rays.dtype)


def _pixel_boxes(
    triangles: Float[Tensor, "face 3 xyz"],
    intrinsics: Float[Tensor, "1 4"],
    height: int,
    width: int,
) -> Int[Tensor, "face 4"]:
    """Return the first and last row and column that a triangle may cover; all if it passes z =
    0."""
    position = project_as_reference(triangles[None], intrinsics)[0]
    low = (position.amin(dim=1) - 1).floor().clamp(-1, max(height, width)).long()
    high = (position.amax(dim=1) + 1).ceil().clamp(-1, max(height, width)).long()
    in_front = (triangles[..., 2] > 1e-6).all(dim=-1)
    left = torch.where(in_front, low[:, 0].clamp(min=0), 0)
    top = torch.where(in_front, low[:, 1].clamp(min=0), 0)
    right = torch.where(in_front, high[:, 0].clamp(max=width - 1), width - 1)
    bottom = torch.where(in_front, high[:, 1].clamp(max=height - 1), height - 1)
    return torch.stack([top, bottom, left, right], dim=-1)


@numba.njit(nogil=True, cache=True)
@no_type_check
def _intersect(rays, triangles, boxes, distance):
    """Intersect every ray in a triangle's box by Moeller and Trumbore's test; keep the nearest.

    All rays start at the camera, so most of their formulas is the same for a whole triangle: with
    its first corner a, the determinant is ray . (edge2 x edge1), and times it u is
    ray . (a x edge2), v is ray . (edge1 x a) and t is edge2 . (edge1 x a).
    """
    for face in range(len(triangles)):
        a, b, c = triangles[face]
        edge1, edge2 = b - a, c - a
        n0, n1, n2 = _cross(edge2, edge1)
        p0, p1, p2 = _cross(a, edge2)
        q0, q1, q2 = _cross(edge1, a)
        height = edge2[0] * q0 + edge2[1] * q1 + edge2[2] * q2
        for row in range(boxes[face, 0], boxes[face, 1] + 1):
            for column in range(boxes[face, 2], boxes[face, 3] + 1):
                x, y, z = rays[row, column, 0], rays[row, column, 1], rays[row, column, 2]
                determinant = x * n0 + y * n1 + z * n2
                if abs(determinant) < 1e-12:
                    continue
                u = (x * p0 + y * p1 + z * p2) / determinant
                if u < 0.0 or u > 1.0:
                    continue
                v = (x * q0 + y * q1 + z * q2) / determinant
                if v < 0.0 or u + v > 1.0:
                    continue
                t = height / determinant
                if t > 0.0 and (distance[row, column] == 0.0 or t < distance[row, column]):
                    distance[row, column] = t


@numba.njit(inline="always")
@no_type_check
def _cross(a, b):
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )
