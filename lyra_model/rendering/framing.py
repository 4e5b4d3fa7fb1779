"""Cameras that see a whole scene of which nothing but its Gaussians is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians

_SEEN_FROM_ORIGIN = 0.95
"""Share of the Gaussians that lie before a camera at the origin in a scene made from a photo."""

_WIDEST_SLOPE = 1.6  # |x| or |y| over z, of such a camera: 116 degrees across
_MARGIN = 1.06
_ELEVATION = math.radians(14)  # above a scene that is looked at from outside
_OUTSIDE_FIELD = math.radians(46)  # of view
_SIDESTEP = 0.06  # of the depth, between two cameras of a scene made from a photo
_AXES = {"-y": (0.0, -1.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Framing:
    """Cameras before a scene.

    Attributes:
        cameras: the first one is where a visitor starts.
        from_origin: the scene is seen from the origin along z, as a photo sees it; else from
            outside, all around.
        pivot_depth: distance of the scene's middle from the first camera.
        near, far: planes between which the scene lies, in world units.
    """

    cameras: Cameras
    from_origin: bool
    pivot_depth: float
    near: float
    far: float


def frame_scene(
    gaussians: Gaussians, *, num: int, up: str = "-y", longest_side: int = 512
) -> Framing:
    """Return `num` cameras that see a scene, from where it was probably made to be seen.

    Args:
        up: the axis that points up: "-y", "y" or "z".
        longest_side: of the pictures, in pixels.
    """
    assert len(gaussians), "an empty scene has nothing to see"
    means = gaussians.means.detach().cpu().double()
    visible = means[gaussians.opacities.detach().cpu() > 0.1]
    means = visible if len(visible) else means
    slopes = means[:, :2] / means[:, 2:].clamp(min=1e-9)
    before = (means[:, 2] > 0) & (slopes.abs() < _WIDEST_SLOPE).all(dim=-1)
    if up == "-y" and float(before.double().mean()) >= _SEEN_FROM_ORIGIN:
        return _from_origin(means[before], slopes[before], num, longest_side)
    return _from_outside(means, num, torch.tensor(_AXES[up]).double(), longest_side)


def _from_origin(
    means: Float[Tensor, "point 3"], slopes: Float[Tensor, "point 2"], num: int, longest_side: int
) -> Framing:
    low, high = (_quantile(slopes, share) * _MARGIN for share in (0.01, 0.99))
    span = (high - low).clamp(min=1e-3)
    focal = longest_side / float(span.max())
    width, height = (max(16, round(focal * float(side))) for side in span)
    centre = [-focal * float(low[0]), -focal * float(low[1])]
    depth = float(means[:, 2].median())
    places = [((-1) ** index) * ((index + 1) // 2) * _SIDESTEP * depth for index in range(num)]
    pivot = torch.tensor([0.0, 0.0, depth]).double()
    down = torch.tensor([0.0, 1.0, 0.0]).double()
    poses = [looking_at(torch.tensor([place, 0.0, 0.0]).double(), pivot, down) for place in places]
    intrinsics = torch.tensor([focal, focal, *centre]).repeat(num, 1)
    cameras = Cameras(torch.stack(poses).float(), intrinsics, height, width)
    near = 0.3 * float(_quantile(means[:, 2], 0.001))
    return Framing(cameras, True, depth, near, 10 * float(means[:, 2].max()) + 1)


def _from_outside(
    means: Float[Tensor, "point 3"], num: int, up: Float[Tensor, 3], longest_side: int
) -> Framing:
    centre = means.median(dim=0).values
    distances = (means - centre).norm(dim=-1)
    radius = max(float(_quantile(distances, 0.9)), 1e-6)
    arm = radius * _MARGIN / math.sin(_OUTSIDE_FIELD / 2)
    # Any two directions level with the ground; seen first is the side where the camera stood.
    forward = torch.tensor([0.0, 0.0, 1.0] if abs(up[2]) < 0.5 else [0.0, 1.0, 0.0]).double()
    sideways = torch.linalg.cross(forward, up)
    poses = []
    for index in range(num):
        turn = 2 * math.pi * index / num
        level = -math.cos(turn) * forward + math.sin(turn) * sideways
        direction = math.cos(_ELEVATION) * level + math.sin(_ELEVATION) * up
        poses.append(looking_at(centre + arm * direction, centre, -up))
    focal = longest_side / (2 * math.tan(_OUTSIDE_FIELD / 2))
    height = round(0.75 * longest_side)
    intrinsics = torch.tensor([focal, focal, longest_side / 2, height / 2]).repeat(num, 1)
    cameras = Cameras(torch.stack(poses).float(), intrinsics, height, longest_side)
    return Framing(cameras, False, arm, 0.02 * arm, 20 * (arm + float(distances.max())))


def looking_at(
    position: Float[Tensor, 3], target: Float[Tensor, 3], down: Float[Tensor, 3]
) -> Float[Tensor, "4 4"]:
    """Return camera_to_world of a camera that looks at a point, its y axis close to `down`."""
    forward = torch.nn.functional.normalize(target - position, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=0)
    pose = torch.eye(4, dtype=position.dtype)
    pose[:3, :3] = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=1)
    pose[:3, 3] = position
    return pose


def _quantile(values: Tensor, share: float) -> Tensor:
    """Return a quantile over the first axis; torch's own takes no more than 16 million numbers."""
    return torch.from_numpy(np.asarray(np.quantile(values.numpy(), share, axis=0)))
