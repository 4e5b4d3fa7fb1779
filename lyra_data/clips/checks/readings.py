"""Readings: what poses and intrinsics would be if a usual mistake had been made with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyra_data.scene.cameras import PIXEL_CENTRE

FOCAL_SCALES = (0.5, 0.8, 1.25, 2.0)
POSITION_SCALES = (0.25, 0.5, 2 / 3, 0.8, 1.25, 1.5, 2.0, 4.0)
SHIFTS = (-3, -2, -1, 1, 2, 3)


@dataclass(frozen=True)
class Reading:
    """Cameras as they are stated, or as they would be.

    Attributes:
        camera_to_world, intrinsics: of every frame; NaN where this reading has none.
        shrinks: by how much it makes every motion smaller, and errors of poses with it: no merit.
    """

    camera_to_world: Float[np.ndarray, "frame 4 4"]
    intrinsics: Float[np.ndarray, "frame 4"]
    shrinks: float = 1.0

    def carried(
        self,
        first: int,
        second: int,
        positions: Float[np.ndarray, "point 2"],
        depth: Float[np.ndarray, " point"],
    ) -> tuple[Float[np.ndarray, "point 2"], Float[np.ndarray, " point"]]:
        """Return where points of one frame lie in another, in pixels, and their depth there."""
        focal, centre = self.intrinsics[first, :2], self.intrinsics[first, 2:]
        local = np.concatenate([(positions - centre) / focal, np.ones((len(depth), 1))], axis=1)
        pose, other = self.camera_to_world[first], self.camera_to_world[second]
        world = (local * depth[:, None]) @ pose[:3, :3].T + pose[:3, 3]
        seen = (world - other[:3, 3]) @ other[:3, :3]
        z = seen[:, 2]
        in_front = np.where(z > 0, z, np.nan)
        places = seen[:, :2] / in_front[:, None] * self.intrinsics[second, :2]
        return places + self.intrinsics[second, 2:], in_front


def pixel_of(positions: Float[np.ndarray, "point 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixels that positions lie in."""
    columns, rows = np.floor(positions + (0.5 - PIXEL_CENTRE)).astype(int).T
    return rows, columns


def other_readings(stated: Reading) -> Mapping[str, Reading]:
    """Each reading by what would be wrong with the stated cameras."""
    poses, intrinsics = stated.camera_to_world, stated.intrinsics
    transposed = poses.copy()
    transposed[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    readings = {
        "poses are world-to-camera": Reading(np.linalg.inv(poses), intrinsics),
        "rotations are transposed": Reading(transposed, intrinsics),
        "axes are OpenGL's (y up, z backward)": Reading(poses @ flip, intrinsics),
        "cameras run in reverse order": Reading(poses[::-1], intrinsics[::-1]),
        "poses run in reverse order": Reading(poses[::-1], intrinsics),
    }
    for scale in FOCAL_SCALES:
        wider = intrinsics * np.array([scale, scale, 1.0, 1.0])
        readings[f"focal lengths are {1 / scale:g} times the true ones"] = Reading(
            poses, wider, shrinks=min(scale, 1.0)
        )
    for shift in SHIFTS:
        late = "late" if shift > 0 else "early"
        name = f"cameras come {abs(shift)} frame{'s' if abs(shift) > 1 else ''} {late}"
        readings[name] = Reading(_shifted(poses, shift), _shifted(intrinsics, shift))
    for scale in POSITION_SCALES:
        moved = poses.copy()
        moved[:, :3, 3] *= scale
        name = f"positions are {1 / scale:.2g} times those that the depth asks for"
        readings[name] = Reading(moved, intrinsics, shrinks=min(scale, 1.0))
    return readings


def _shifted(values: Float[np.ndarray, "frame ..."], shift: int) -> np.ndarray:
    moved = np.full_like(values, np.nan)
    if shift > 0:
        moved[:-shift] = values[shift:]
    else:
        moved[-shift:] = values[:shift]
    return moved
