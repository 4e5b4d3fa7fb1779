"""Ray casting: what a camera in a room sees, and how far away it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from experiments.many_scenes.room import Room

WIDTH, HEIGHT = 288, 192
FOCAL_PIXELS = 250.0
"""60 degrees from left to right."""
SAMPLES = 2
"""Rays across and down a pixel, whose colours are averaged."""


@dataclass(frozen=True)
class Seen:
    """A picture and the z depth at its pixels' centres, in metres."""

    rgb: UInt8[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]


def look(room: Room, camera_to_world: Float[np.ndarray, "4 4"]) -> Seen:
    """Cast rays through all pixels; pixel centres lie at + 0.5."""
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES
    total = np.zeros((HEIGHT * WIDTH, 3))
    for down in steps:
        for across in steps:
            total += _cast(room, camera_to_world, across, down)[0]
    mean = total / SAMPLES**2
    _, depth = _cast(room, camera_to_world, 0.5, 0.5)
    rgb = np.clip(np.round(mean * 255.0), 0, 255).astype(np.uint8)
    return Seen(rgb.reshape(HEIGHT, WIDTH, 3), depth.reshape(HEIGHT, WIDTH))


def _cast(
    room: Room, camera_to_world: np.ndarray, across: float, down: float
) -> tuple[Float[np.ndarray, "ray 3"], Float[np.ndarray, " ray"]]:
    """Colours and z depths through one place in every pixel."""
    x = (np.arange(WIDTH) + across - WIDTH / 2) / FOCAL_PIXELS
    y = (np.arange(HEIGHT) + down - HEIGHT / 2) / FOCAL_PIXELS
    # Rays have z = 1 in the camera's own axes, so that a distance along them is a z depth.
    rays = np.stack([np.tile(x, HEIGHT), np.repeat(y, WIDTH), np.ones(HEIGHT * WIDTH)], axis=1)
    rays = rays @ camera_to_world[:3, :3].T
    origin = camera_to_world[:3, 3]
    distances = np.stack([thing.distances(origin, rays) for thing in room.things])
    nearest = distances.argmin(axis=0)
    depth = distances.min(axis=0)
    points = origin + rays * depth[:, None]
    colours = np.empty((len(rays), 3))
    for index, thing in enumerate(room.things):
        colours[nearest == index] = thing.colours(points[nearest == index])
    return colours, depth
