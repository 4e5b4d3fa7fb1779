"""Measure a reconstruction: pictures it was made of, pictures it never read, and how far to go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lyra_data.generation.trajectories import look_at
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

HOLE_ALPHA = 0.5
"""Accumulated opacity under which a pixel counts as a hole."""

HOLES_SHOW = 0.02
"""Share of a picture's pixels that are holes from which on people see them."""

REACH_STEP, REACH_LIMIT = 0.025, 1.0
"""Movements that are tried, in units of the depth of the scene's centre."""

LEAST_DEGREES, LEAST_DOLLY = 1.5, 0.05
"""A camera path shows depth from here on, holes or not."""

DIRECTIONS = {
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "up": (0.0, -1.0, 0.0),
    "down": (0.0, 1.0, 0.0),
    "forwards": (0.0, 0.0, 1.0),
    "backwards": (0.0, 0.0, -1.0),
}
"""Directions along the source camera's axes."""

WAYS = {
    "orbit": ("left", "right", "up", "down"),
    "arc": ("left", "right"),
    "dolly": ("forwards",),
}
"""Directions in which the camera paths for videos go."""


@dataclass(frozen=True)
class Reach:
    """The way that the camera goes in one direction before holes show.

    Attributes:
        depth_units: in units of the depth of the scene's centre; the camera looks at that centre.
        degrees: as the centre sees it, of a movement sideways; None: forwards or backwards.
        is_limit: no holes showed as far as was tried.
    """

    depth_units: float
    degrees: float | None
    is_limit: bool


def reach(
    gaussians: Gaussians, camera: Cameras, centre_depth: float, rendering: RenderingParams
) -> dict[str, Reach]:
    """Return how far the source camera may move along each of its axes before holes show."""
    return {
        name: _reach(gaussians, camera, centre_depth, rendering, direction)
        for name, direction in DIRECTIONS.items()
    }


def amplitude_without_holes(path: str, reached: Mapping[str, Reach], usual: float) -> float:
    """Return how far a built-in camera path goes: as usual, or less where holes would show.

    Args:
        path: its name; one that the scene's reach says nothing about goes as usual.
        usual: its usual amplitude, in degrees (orbit, arc) or in units of the centre's depth.
    """
    if path not in WAYS:
        return usual
    limits = [reached[way] for way in WAYS[path]]
    if path == "dolly":
        return max(LEAST_DOLLY, min([usual, *(one.depth_units for one in limits)]))
    return max(LEAST_DEGREES, min([usual, *(one.degrees or 0.0 for one in limits)]))


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
