"""Similarity: a change from one world to another that keeps angles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float64
from torch import Tensor

from lyra_data.scene.cameras import Cameras


@dataclass(frozen=True)
class Similarity:
    """A point p becomes scale * rotation @ p + translation.

    Attributes:
        scale: positive.
        rotation: proper, orthogonal.
    """

    scale: float
    rotation: Float64[Tensor, "3 3"]
    translation: Float64[Tensor, " 3"]

    def of_cameras(self, cameras: Cameras) -> Cameras:
        """Return the same cameras posed in the other world; depth is to be scaled with them."""
        poses = cameras.camera_to_world.double()
        moved = poses.clone()
        moved[:, :3, :3] = self.rotation @ poses[:, :3, :3]
        moved[:, :3, 3] = self.scale * poses[:, :3, 3] @ self.rotation.T + self.translation
        return replace(cameras, camera_to_world=moved.to(cameras.camera_to_world.dtype))

    def as_json(self) -> dict[str, float | list]:
        return {
            "scale": self.scale,
            "rotation": self.rotation.tolist(),
            "translation": self.translation.tolist(),
        }


def nearest_rotation(matrix: Float64[Tensor, "3 3"]) -> Float64[Tensor, "3 3"]:
    """Return the rotation that is nearest to a matrix by the sum of squared differences."""
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones(3, dtype=matrix.dtype)
    sign[2] = torch.sign(torch.linalg.det(left @ right))
    return left @ torch.diag(sign) @ right
