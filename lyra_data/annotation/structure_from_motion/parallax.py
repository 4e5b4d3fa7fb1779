"""Parallax: how far apart frames see the points they share, and which frames see depth best."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene

BEST_ANGLE_DEGREES = 6.0
"""Wider pairs match worse, narrower ones tell less of depth."""

NARROWER, WIDER = 3.0, 8.0
"""Degrees by which an angle may miss the best one before it counts for half or so."""

LEAST_SHARED = 12
"""Points that two frames have to share."""


def largest_angles(scene: SparseScene) -> Float64[np.ndarray, " point"]:
    """Return for each point the angle in degrees between the first and the last frame that saw it,
    or the widest angle to the first, whichever is larger."""
    centres = scene.camera_to_world[:, :3, 3]
    angles = np.zeros(len(scene.points))
    order = np.lexsort((scene.observed_frame, scene.observed_point))
    frames, points = scene.observed_frame[order], scene.observed_point[order]
    if len(points) == 0:
        return angles
    starts = np.r_[True, points[1:] != points[:-1]]
    first = frames[np.maximum.accumulate(np.where(starts, np.arange(len(points)), 0))]
    positions = scene.points[points]
    widths = _angles(positions - centres[first], positions - centres[frames])
    np.maximum.at(angles, points, widths)
    return angles


def chosen_neighbours(scene: SparseScene, num_neighbours: int) -> list[list[int]]:
    """Choose for every frame the frames to compare it with, best first; fewer where fewer share
    points.

    A neighbour's worth falls with the distance of its median angle from the best one. One that
    stands where another already chosen stands adds nothing, so worth is halved the nearer they are.
    """
    centres = scene.camera_to_world[:, :3, 3]
    seen = [np.unique(scene.observed_point[scene.observed_frame == f]) for f in range(len(scene))]
    chosen = []
    for frame, points in enumerate(seen):
        worth = np.zeros(len(scene))
        for other in range(len(scene)):
            shared = np.intersect1d(points, seen[other], assume_unique=True)
            if other == frame or len(shared) < LEAST_SHARED:
                continue
            positions = scene.points[shared]
            angle = float(
                np.median(_angles(positions - centres[frame], positions - centres[other]))
            )
            miss = (angle - BEST_ANGLE_DEGREES) / (
                NARROWER if angle < BEST_ANGLE_DEGREES else WIDER
            )
            worth[other] = np.exp(-0.5 * miss**2) * len(shared) / max(len(points), 1)
        taken: list[int] = []
        while len(taken) < num_neighbours and worth.max() > 0:
            best = int(worth.argmax())
            taken.append(best)
            worth[best] = 0
            reach = np.linalg.norm(centres[best] - centres[frame]) + 1e-12
            near = np.linalg.norm(centres - centres[best], axis=1) / reach
            worth *= 1 - 0.7 * np.exp(-((near / 0.3) ** 2))
        chosen.append(taken)
    return chosen


def _angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    sines = np.linalg.norm(np.cross(one, other), axis=1)
    return np.degrees(np.arctan2(sines / lengths, (one * other).sum(1) / lengths))
