"""The reference's foreground masking in plain float32 PyTorch: what the surface that spans depth
edges hides.

The mesh has a vertex for every 4x4 pixels and two triangles for every cell that touches an edge.
Triangles of about the same extent in pixels are tested together, each against the pixels of its
box (Moeller and Trumbore), which is far faster than all rays against all triangles.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from lyra_data.scene.cameras import Cameras

STEP = 4
MARGIN = 0.02
LARGEST_BATCH = 4_000_000
"""Ray-triangle pairs tested at a time."""


def hidden_by_mesh(
    points: Float[Tensor, "height width 3"],
    boundary: Bool[Tensor, "height width"],
    depth: Float[Tensor, "height width"],
    camera: Cameras,
) -> Bool[Tensor, "height width"]:
    """True where a rendered depth lies further behind the mesh than the margin.

    Args:
        points: the source's points in the target camera.
        depth: rendered, 0 where unknown.
    """
    height, width = boundary.shape
    coarse = (height // STEP, width // STEP)
    vertices = interpolate(points.permute(2, 0, 1)[None], size=coarse, mode="bilinear")[0]
    vertices = vertices.permute(1, 2, 0)
    edge = interpolate(boundary[None, None].float(), size=coarse, mode="nearest")[0, 0] > 0
    touched = edge[:-1, :-1] | edge[:-1, 1:] | edge[1:, :-1] | edge[1:, 1:]
    top_left, top_right = vertices[:-1, :-1][touched], vertices[:-1, 1:][touched]
    bottom_left, bottom_right = vertices[1:, :-1][touched], vertices[1:, 1:][touched]
    triangles = torch.cat(
        [
            torch.stack([top_left, top_right, bottom_left], dim=1),
            torch.stack([top_right, bottom_right, bottom_left], dim=1),
        ]
    )
    mesh_depth = nearest_depth(triangles, camera)
    return torch.isfinite(mesh_depth) & (mesh_depth + MARGIN < depth)


def nearest_depth(
    triangles: Float[Tensor, "face 3 xyz"], camera: Cameras
) -> Float[Tensor, "height width"]:
    """z of the nearest triangle in front of the camera at each pixel, infinite for none."""
    fx, fy, cx, cy = camera.intrinsics[0]
    nearest = torch.full((camera.height * camera.width,), torch.inf)
    triangles = triangles[(triangles[..., 2] > 1e-6).all(dim=1)]
    x = fx * triangles[..., 0] / triangles[..., 2] + cx
    y = fy * triangles[..., 1] / triangles[..., 2] + cy
    left = x.amin(dim=1).floor().clamp(0, camera.width)
    top = y.amin(dim=1).floor().clamp(0, camera.height)
    extent_x = x.amax(dim=1).ceil().clamp(-1, camera.width) - left + 1
    extent_y = y.amax(dim=1).ceil().clamp(-1, camera.height) - top + 1
    extent = torch.maximum(extent_x, extent_y)
    side = 2
    while side < 2 * max(camera.height, camera.width):
        chosen = torch.nonzero((extent <= side) & (extent > (side // 2 if side > 2 else 0)))[:, 0]
        for part in chosen.split(max(1, LARGEST_BATCH // side**2)):
            steps = torch.arange(side, dtype=torch.float32)
            column = (left[part, None, None] + steps[None, None, :]).expand(-1, side, -1)
            row = (top[part, None, None] + steps[None, :, None]).expand(-1, -1, side)
            rays = torch.stack([(column - cx) / fx, (row - cy) / fy, torch.ones_like(row)], dim=-1)
            z = intersect(rays, triangles[part])
            inside = (z > 0) & (column < camera.width) & (row < camera.height)
            index = (row * camera.width + column).long()[inside]
            nearest.scatter_reduce_(0, index, z[inside], "amin")
        side *= 2
    return nearest.reshape(camera.height, camera.width)


def intersect(
    rays: Float[Tensor, "face row column 3"], triangles: Float[Tensor, "face 3 xyz"]
) -> Float[Tensor, "face row column"]:
    """z where each ray (of z = 1, from the camera) meets its triangle; -1 where it does not."""
    a, b, c = triangles[:, None, None].unbind(-2)
    edge1, edge2 = b - a, c - a
    p = torch.linalg.cross(rays, edge2.expand_as(rays))
    q = torch.linalg.cross(-a, edge1)
    determinant = (edge1 * p).sum(-1)
    u = (-a * p).sum(-1) / determinant
    v = (rays * q).sum(-1) / determinant
    z = (edge2 * q).sum(-1) / determinant
    hits = (determinant.abs() > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (z > 0)
    return torch.where(hits, z, -1.0)
