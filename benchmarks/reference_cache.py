"""The reference's cache rendering in plain float32 PyTorch, as a careful user would write it.

Written for the benchmarks from the formulas alone: unproject, project, splat to the four pixels
around with the weight proximity / exp(min(50 log1p(z) / max log1p(z), 80)), normalise, mask; two
target frames at a time. It shares no code with lyra_data.cache3d, so that each checks the other.
Pixel centres are integers, as in the reference.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.reference_mesh import hidden_by_mesh
from lyra_data.scene.cameras import Cameras

CHUNK = 2
"""Target frames warped at a time; they share the splat's depth normaliser."""

Scatter = Literal["index_put", "index_add"]
"""index_put: colours, then depth, by index_put_(accumulate=True), as the reference does.
index_add: both in one go and by whole rows of a table, the fastest way found in torch."""

Rendered = tuple[
    Float[Tensor, "frame 3 height width"],
    Bool[Tensor, "frame height width"],
    Float[Tensor, "frame height width"],
]


def render_static(
    image: Float[Tensor, "3 height width"],
    depth: Float[Tensor, "height width"],
    shown: Bool[Tensor, "height width"],
    source: Cameras,
    targets: Cameras,
    *,
    scatter: Scatter,
    boundary: Bool[Tensor, "height width"] | None = None,
) -> Rendered:
    """One picture with depth, seen by every target camera.

    Args:
        image: [-1, 1].
        shown: False on pixels to leave out.
        boundary: next to depth edges; given, surfaces across the edges hide what lies behind.

    Returns:
        frames ([-1, 1], -1 where unknown), where they are known, z depth (0 where unknown).
    """
    points = unproject(depth, source)
    parts = []
    for start in range(0, len(targets), CHUNK):
        chunk = targets[start : start + CHUNK]
        in_camera, positions = project(points, chunk)
        z = in_camera[..., 2]
        weight = shown * (z > 0) * depth_weight(z)
        frames, known, rendered_depth = SCATTERS[scatter](image, positions, z, weight)
        if boundary is not None:
            hidden = torch.stack(
                [
                    hidden_by_mesh(
                        in_camera[frame], boundary, rendered_depth[frame], chunk[[frame]]
                    )
                    for frame in range(len(chunk))
                ]
            )
            frames = torch.where(hidden[:, None], -1.0, frames)
            known = known & ~hidden
            rendered_depth = torch.where(hidden, 0.0, rendered_depth)
        parts.append((frames, known, rendered_depth))
    frames, known, rendered_depth = (torch.cat(part) for part in zip(*parts, strict=True))
    return frames, known, rendered_depth


def unproject(
    depth: Float[Tensor, "height width"], camera: Cameras
) -> Float[Tensor, "height width 3"]:
    """World points; pixels without depth become the origin."""
    height, width = depth.shape
    row, column = torch.meshgrid(
        torch.arange(height, dtype=torch.float32),
        torch.arange(width, dtype=torch.float32),
        indexing="ij",
    )
    pixels = torch.stack([column, row, torch.ones_like(row)], dim=-1)
    rays = pixels @ torch.linalg.inv(camera.intrinsic_matrices[0]).T
    pose = camera.camera_to_world[0]
    points = rays * depth[..., None] @ pose[:3, :3].T + pose[:3, 3]
    return torch.where((depth > 0)[..., None], points, 0.0)


def project(
    points: Float[Tensor, "height width 3"], targets: Cameras
) -> tuple[Float[Tensor, "frame height width 3"], Float[Tensor, "frame height width 2"]]:
    """The points in each target camera, and where they lie in its image."""
    world_to_camera = torch.linalg.inv(targets.camera_to_world)
    rotation, translation = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    in_camera = torch.einsum("fij,hwj->fhwi", rotation, points) + translation[:, None, None]
    homogeneous = torch.einsum("fij,fhwj->fhwi", targets.intrinsic_matrices, in_camera)
    return in_camera, homogeneous[..., :2] / (homogeneous[..., 2:] + 1e-7)


def depth_weight(z: Float[Tensor, "frame height width"]) -> Float[Tensor, "frame height width"]:
    """Falls exponentially with depth, so that near surfaces drown far ones."""
    log_depth = torch.log1p(z.clamp(min=0))
    exponent = (50 * log_depth / (log_depth.max() + 1e-7)).clamp(max=80)
    return 1 / (torch.exp(exponent) + 1e-7)


def corners(
    positions: Float[Tensor, "frame height width 2"],
    weight: Float[Tensor, "frame height width"],
) -> list[tuple[Int[Tensor, "frame height width"], Float[Tensor, "frame height width"]]]:
    """The four pixels around each position, as flat indices into images padded by one pixel on
    each side, and the weight that each of them gets."""
    num_frames, height, width = weight.shape
    moved = positions + 1
    low, high = moved.floor(), moved.ceil()
    limit = torch.tensor([width + 1.0, height + 1.0])
    moved, low, high = (torch.minimum(each.clamp(min=0), limit) for each in (moved, low, high))
    frame = torch.arange(num_frames)[:, None, None]
    found = []
    for x in (low[..., 0], high[..., 0]):
        for y in (low[..., 1], high[..., 1]):
            proximity = (1 - (moved[..., 0] - x).abs()) * (1 - (moved[..., 1] - y).abs())
            index = (frame * (height + 2) + y.long()) * (width + 2) + x.long()
            found.append((index, proximity * weight))
    return found


def splat_by_index_add(
    image: Float[Tensor, "3 height width"],
    positions: Float[Tensor, "frame height width 2"],
    z: Float[Tensor, "frame height width"],
    weight: Float[Tensor, "frame height width"],
) -> Rendered:
    """Colours, depth and weight as the five columns of one table."""
    num_frames, height, width = z.shape
    colours = image.permute(1, 2, 0).expand(num_frames, height, width, 3)
    values = torch.cat([colours, z[..., None], torch.ones_like(z)[..., None]], dim=-1)
    sums = torch.zeros(num_frames * (height + 2) * (width + 2), 5)
    for index, share in corners(positions, weight):
        sums.index_add_(0, index.flatten(), (values * share[..., None]).reshape(-1, 5))
    grid = sums.reshape(num_frames, height + 2, width + 2, 5)[:, 1:-1, 1:-1]
    total = grid[..., 4]
    known = total > 0
    mean = torch.where(known[..., None], grid[..., :4] / total[..., None], 0.0)
    frames = torch.where(known[..., None], mean[..., :3].clamp(-1, 1), -1.0)
    return frames.permute(0, 3, 1, 2), known, mean[..., 3]


def splat_by_index_put(
    image: Float[Tensor, "3 height width"],
    positions: Float[Tensor, "frame height width 2"],
    z: Float[Tensor, "frame height width"],
    weight: Float[Tensor, "frame height width"],
) -> Rendered:
    """Colours, then depth, each with its weights."""

    def splat(
        values: Float[Tensor, "frame height width channel"], hole: float
    ) -> tuple[Float[Tensor, "frame channel height width"], Bool[Tensor, "frame height width"]]:
        num_frames, height, width, channels = values.shape
        size = num_frames * (height + 2) * (width + 2)
        sums, totals = torch.zeros(size, channels), torch.zeros(size)
        for index, share in corners(positions, weight):
            sums.index_put_((index,), values * share[..., None], accumulate=True)
            totals.index_put_((index,), share, accumulate=True)
        padded = (num_frames, height + 2, width + 2)
        mean = sums.reshape(*padded, channels)[:, 1:-1, 1:-1]
        total = totals.reshape(padded)[:, 1:-1, 1:-1]
        known = total > 0
        result = torch.where(known[..., None], mean / total[..., None], hole)
        return result.permute(0, 3, 1, 2), known

    frames, known = splat(image.permute(1, 2, 0).expand(len(z), *z.shape[1:], 3), -1.0)
    rendered_depth, _ = splat(z[..., None], 0.0)
    return frames.clamp(-1, 1), known, rendered_depth[:, 0]


SCATTERS = {"index_put": splat_by_index_put, "index_add": splat_by_index_add}
