"""Plane sweep: how well do pictures agree, were a pixel at this or at that depth?

For every pixel of a picture and every depth, the point is projected into all other pictures, and
their colours there are compared with the pixel's own. Where depth is right and nothing hides the
point, they agree: that needs no learning, so it holds in scenes that were never trained on.
(Collins, "A space-sweep approach to true multi-image matching", 1996.)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras, invert_rigid
from lyra_data.scene.projection import pixel_directions

UNSEEN_COST = 0.5
"""Cost of a depth at which no other picture shows the point: as bad as chance."""

BEHIND = 1e-4
"""Points of smaller homogeneous depth than this lie beside or behind a camera."""


class MatchingCosts(NamedTuple):
    """Mean absolute differences of colours 0..1, for every depth of every pixel.

    Attributes:
        mean: over all other pictures that show the point.
        best: over the half of all other pictures that agree best, so that a picture in which the
            point is hidden does not speak against the right depth.
    """

    mean: Float[Tensor, "picture plane row column"]
    best: Float[Tensor, "picture plane row column"]


@torch.no_grad()
def matching_costs(
    pictures: Float[Tensor, "picture 3 row column"],
    cameras: Cameras,
    inverse_depths: Float[Tensor, " plane"],
) -> MatchingCosts:
    """Compare every picture with all others at every depth.

    Args:
        pictures: colours 0..1; two or more.
        cameras: of them, for pictures of this size.
        inverse_depths: 1 / z of the planes, in units of the cameras' world.
    """
    directions = pixel_directions(cameras, pixel_centre=PIXEL_CENTRE)
    world_to_camera = invert_rigid(cameras.camera_to_world)
    means, bests = [], []
    for index in range(len(pictures)):
        others = [other for other in range(len(pictures)) if other != index]
        to_others = world_to_camera[others] @ cameras.camera_to_world[index]
        # A point at inverse depth r projects as R d + r t does: the scale of a ray is free.
        turned = torch.einsum("oij,hwj->ohwi", to_others[:, :3, :3], directions[index])
        moved = inverse_depths[:, None] * to_others[:, None, :3, 3]
        points = turned[:, None] + moved[:, :, None, None]
        seen, grid = _sampling_grid(points, cameras[others])
        sampled = F.grid_sample(
            pictures[others],
            rearrange(grid, "other plane row column xy -> other (plane row) column xy"),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        sampled = rearrange(
            sampled, "other c (plane row) column -> other plane c row column", row=grid.shape[2]
        )
        cost = (sampled - pictures[index]).abs().mean(2)
        number = seen.sum(0)
        mean = (cost * seen).sum(0) / number.clamp(min=1)
        means.append(torch.where(number > 0, mean, UNSEEN_COST))
        num_best = (len(others) + 1) // 2
        ordered = torch.where(seen, cost, UNSEEN_COST).topk(num_best, dim=0, largest=False)
        bests.append(ordered.values.mean(0))
    return MatchingCosts(torch.stack(means), torch.stack(bests))


def _sampling_grid(
    points: Float[Tensor, "other plane row column 3"], cameras: Cameras
) -> tuple[Tensor, Tensor]:
    """Return where pictures show points, in -1..1 across and down, and whether they do."""
    depth = points[..., 2]
    before = depth > BEHIND
    fx, fy, cx, cy = cameras.intrinsics[:, None, None, None].unbind(-1)
    safe = depth.clamp(min=BEHIND)
    x = (fx * points[..., 0] / safe + cx) * (2 / cameras.width) - 1
    y = (fy * points[..., 1] / safe + cy) * (2 / cameras.height) - 1
    seen = before & (x.abs() < 1) & (y.abs() < 1)
    return seen, torch.stack([x, y], dim=-1).clamp(-2, 2)
