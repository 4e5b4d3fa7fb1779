"""SparseScene: posed frames and the points they were posed by; what the solver hands back."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int32

from lyra_data.scene.projection import to_pixels


@dataclass(frozen=True)
class SparseScene:
    """Every frame posed, in the units that the solver chose or the given poses have.

    Attributes:
        world_to_camera: OpenCV axes.
        intrinsics: fx, fy, cx, cy in pixels of the solved pictures.
        points: triangulated, in the world.
        observed_frame, observed_point: which frame saw which point; one entry an observation.
        error_pixels: of each observation: distance of the projected point from where it was seen.
        by_mapper: True on frames that the mapper posed; the others were posed afterwards, each
            from its matches with points.
    """

    world_to_camera: Float64[np.ndarray, "frame 4 4"]
    intrinsics: Float64[np.ndarray, "frame 4"]
    points: Float64[np.ndarray, "point 3"]
    observed_frame: Int32[np.ndarray, " observation"]
    observed_point: Int32[np.ndarray, " observation"]
    error_pixels: Float64[np.ndarray, " observation"]
    by_mapper: Bool[np.ndarray, " frame"]

    def __len__(self) -> int:
        return len(self.world_to_camera)

    @property
    def camera_to_world(self) -> Float64[np.ndarray, "frame 4 4"]:
        rotation = self.world_to_camera[:, :3, :3].transpose(0, 2, 1)
        poses = np.tile(np.eye(4), (len(self), 1, 1))
        poses[:, :3, :3] = rotation
        poses[:, :3, 3] = -(rotation @ self.world_to_camera[:, :3, 3:])[..., 0]
        return poses

    def depths_in(self, frame: int) -> Float64[np.ndarray, " point_of_frame"]:
        """Return the z depth of the points that a frame saw."""
        seen = self.points[self.observed_point[self.observed_frame == frame]]
        pose = self.world_to_camera[frame]
        depths = seen @ pose[2, :3] + pose[2, 3]
        return depths[depths > 0]

    def projected_in(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions [point_of_frame 2] in pixels and z depths of the points that a frame
        saw."""
        seen = self.points[self.observed_point[self.observed_frame == frame]]
        pose = self.world_to_camera[frame]
        local = seen @ pose[:3, :3].T + pose[:3, 3]
        local = local[local[:, 2] > 0]
        x, y, z = local.T
        fx, fy, cx, cy = self.intrinsics[frame]
        return np.stack(to_pixels((x, y, z), (fx, fy, cx, cy)), -1), z

    def normalised(self) -> SparseScene:
        """Return the same scene with the first camera as the world and unit length chosen such that
        the median depth of the points that frame sees is 1."""
        unit = float(np.median(self.depths_in(0)))
        first = self.world_to_camera[0]
        points = (self.points @ first[:3, :3].T + first[:3, 3]) / unit
        relative = self.world_to_camera @ self.camera_to_world[0]
        relative[0] = np.eye(4)
        relative[:, :3, 3] /= unit
        return replace(self, world_to_camera=relative, points=points)

    def save(self, path: Path) -> None:
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> SparseScene:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})
