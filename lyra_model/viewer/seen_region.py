"""The region that the cameras of a scene saw, for pages that keep their visitors in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras

LEAST_REACH = 0.1
"""Depths of the scene's centre that a visitor may move in every direction, whatever was seen: the
page sways by less, and depth shows."""

_SIDEWAYS_SHARE = 0.25  # of half the picture: the point that is turned around may go so far
_LEAST_AIM = 0.05  # depths of the centre


@dataclass(frozen=True)
class SeenRegion:
    """Lengths in world units to the left, right, up, down, forwards and backwards of a start.

    They lie along the axes of the camera that a visitor starts at; between them the region is
    round. The page lets a visitor a little way out of it, against resistance.

    Attributes:
        reach: from the start's position: where the camera may stand.
        aim: from the start's pivot: where the point that it turns around may lie.
    """

    reach: tuple[float, ...]
    aim: tuple[float, ...]

    def as_json(self) -> dict[str, list[float]]:
        """Return what seen_region.js reads."""
        rounded = {"reach": self.reach, "aim": self.aim}
        return {name: [round(one, 6) for one in lengths] for name, lengths in rounded.items()}


def seen_region(start: Cameras, centre_depth: float, seen_from: Sequence[Cameras]) -> SeenRegion:
    """Return the region around a start that reaches as far as cameras went and looked.

    Args:
        start: exactly one camera.
        centre_depth: distance before it of the point that is turned around.
        seen_from: cameras of pictures that the scene was made from, in the start's world.
    """
    forwards = torch.tensor([0.0, 0.0, centre_depth], dtype=torch.float64)
    world_to_start = start.world_to_camera[0].detach().cpu().double()
    poses = [world_to_start @ one.camera_to_world.detach().cpu().double() for one in seen_from]
    transforms = torch.cat([torch.eye(4, dtype=torch.float64)[None], *poses])
    positions = transforms[:, :3, 3]
    aims = positions + transforms[:, :3, :3] @ forwards - forwards
    least = LEAST_REACH * centre_depth
    fx, fy = start.intrinsics[0, :2].tolist()
    across = _SIDEWAYS_SHARE * centre_depth * start.width / (2 * fx)
    upright = _SIDEWAYS_SHARE * centre_depth * start.height / (2 * fy)
    beside = (across, across, upright, upright, *(2 * [_LEAST_AIM * centre_depth]))
    return SeenRegion(
        reach=tuple(max(least, length) for length in _extents(positions)),
        aim=tuple(looked + more for looked, more in zip(_extents(aims), beside, strict=True)),
    )


def _extents(offsets: Float[Tensor, "camera 3"]) -> list[float]:
    """Return the largest lengths to the left, right, up, down, forwards and backwards."""
    most = offsets.amax(dim=0).clamp(min=0).tolist()
    left, up, backwards = (-offsets.amin(dim=0).clamp(max=0)).tolist()
    return [left, most[0], up, most[1], most[2], backwards]
