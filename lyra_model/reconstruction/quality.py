"""Measure a reconstruction: pictures it was made of, pictures it never read, and how far to go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from lyra_data.generation.trajectories import look_at
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_model.batches.targets import Targets
from lyra_model.gaussians import Gaussians
from lyra_model.metrics.psnr import psnr
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

HOLE_ALPHA = 0.5
"""Accumulated opacity under which a pixel counts as a hole."""

HOLES_SHOW = 0.02
"""Share of a picture's pixels that are holes from which on people see them."""

REACH_STEP, REACH_LIMIT = 0.05, 1.0
"""Movements that are tried, in units of the depth of the scene's centre."""

DIRECTIONS = {
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "up": (0.0, -1.0, 0.0),
    "down": (0.0, 1.0, 0.0),
    "forwards": (0.0, 0.0, 1.0),
    "backwards": (0.0, 0.0, -1.0),
}
"""Of the source camera's axes."""


@dataclass(frozen=True)
class Reach:
    """How far the camera moves in one direction before holes show.

    Attributes:
        depth_units: in units of the depth of the scene's centre; the camera looks at that centre.
        degrees: as the centre sees it, of a movement sideways; None: forwards or backwards.
        is_limit: no holes showed as far as was tried.
    """

    depth_units: float
    degrees: float | None
    is_limit: bool


def mean_psnr_db(
    gaussians: Gaussians, targets: Targets, rendering: RenderingParams, *, most: int | None = None
) -> float:
    """Return the mean over frames of the PSNR, in dB, of their pictures, rendered one by one.

    Args:
        most: at most so many frames are measured, evenly chosen.
    """
    indices = list(range(len(targets)))
    if most is not None and len(indices) > most:
        indices = torch.linspace(0, len(targets) - 1, most).round().long().tolist()
    device = gaussians.means.device
    values = []
    for index in indices:
        picture = render(gaussians, targets.cameras[[index]].to(device), rendering).rgb.cpu()
        values.append(psnr(picture, targets.rgb[[index]]).values)
    return float(torch.cat(values).mean())


def reach(
    gaussians: Gaussians, camera: Cameras, centre_depth: float, rendering: RenderingParams
) -> dict[str, Reach]:
    """Return how far the source camera may move along each of its axes before holes show."""
    return {
        name: _reach(gaussians, camera, centre_depth, rendering, direction)
        for name, direction in DIRECTIONS.items()
    }


def hole_share(gaussians: Gaussians, camera: Cameras, rendering: RenderingParams) -> float:
    """Return the share of one picture's pixels where (almost) nothing is drawn."""
    alpha = render(gaussians, camera.to(gaussians.means.device), rendering).alpha
    return float((alpha < HOLE_ALPHA).float().mean())


def _reach(
    gaussians: Gaussians,
    camera: Cameras,
    centre_depth: float,
    rendering: RenderingParams,
    direction: tuple[float, float, float],
) -> Reach:
    moves_ahead = direction[2] != 0
    # Forwards the camera would pass the centre; its neighbourhood is what it looks at.
    limit = REACH_LIMIT / 2 if direction[2] > 0 else REACH_LIMIT
    reached, step = 0.0, 1
    while step * REACH_STEP <= limit + 1e-9:
        distance = step * REACH_STEP
        moved = _moved(camera, centre_depth, distance, direction)
        if hole_share(gaussians, moved, rendering) > HOLES_SHOW:
            break
        reached, step = distance, step + 1
    degrees = None if moves_ahead else math.degrees(math.atan(reached))
    return Reach(round(reached, 4), degrees, reached >= limit - 1e-9)


def _moved(
    camera: Cameras, centre_depth: float, distance: float, direction: tuple[float, float, float]
) -> Cameras:
    """Return the camera moved along its own axes and turned to the centre it looked at."""
    pose = camera.camera_to_world[0]
    offset = pose.new_tensor(direction) * (distance * centre_depth)
    centre = pose.new_tensor([0.0, 0.0, centre_depth])
    turned = invert_rigid(look_at(offset[None], centre[None], reference_translation=False))
    return Cameras(pose @ turned, camera.intrinsics, camera.height, camera.width)
