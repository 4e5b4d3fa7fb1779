"""Fitting: the similarity that brings the world of one set of cameras into that of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float64
from torch import Tensor

from lyra_data.camera_paths.poses import PathPoses
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras

SMALLEST_MOTION = 1e-6
"""Cameras that stay within this share of the largest coordinate do not move."""


@dataclass(frozen=True)
class Similarity:
    """A scale, then a rotation, then a translation.

    Attributes:
        error: root mean square distance of the fitted camera centres, as a share of their spread.
    """

    scale: float
    rotation: Float64[Tensor, "3 3"]
    translation: Float64[Tensor, " axis"]
    error: float

    def apply(self, poses: PathPoses) -> PathPoses:
        """Return the poses in the other world."""
        moved = poses.camera_to_world.clone()
        moved[:, :3, :3] = self.rotation @ moved[:, :3, :3]
        moved[:, :3, 3] = self.scale * moved[:, :3, 3] @ self.rotation.T + self.translation
        return replace(poses, camera_to_world=moved)


def fit_similarity(poses: PathPoses, cameras: Cameras, *, where: str) -> Similarity:
    """Fit the world of poses to that of cameras; pose i and camera i are of the same picture.

    The rotation is the mean of what the cameras' own rotations say (so that a camera that moves
    along a line is enough); scale and translation are the least squares of the centres.

    Args:
        where: the file of the poses, for messages.

    Raises:
        InputError: their numbers differ, or either of them stands still.
    """
    if len(poses) != len(cameras):
        raise InputError(
            f"{len(poses)} poses are to be fitted to a source with {len(cameras)} frames",
            where=where,
            fix="give one pose for each frame of the source, in the same order (`source_poses:` "
            "names a file of its own for them), or scale: metres or centre_depth",
        )
    target = cameras.camera_to_world.double()
    products = target[:, :3, :3] @ poses.camera_to_world[:, :3, :3].transpose(1, 2)
    left, _, right = torch.linalg.svd(products.sum(dim=0))
    sign = torch.linalg.det(left @ right).sign()
    rotation = left @ torch.diag(torch.stack([sign.new_ones(()), sign.new_ones(()), sign])) @ right
    moved = poses.camera_to_world[:, :3, 3] @ rotation.T
    there = target[:, :3, 3]
    for centres, noun in ((moved, "the file's poses"), (there, "the source's cameras")):
        spread = float((centres - centres.mean(dim=0)).norm(dim=1).max())
        if not spread > SMALLEST_MOTION * max(float(centres.abs().max()), SMALLEST_MOTION):
            raise InputError(
                f"{noun} do not move: no scale can be fitted to them",
                where=where,
                fix="give scale: metres or centre_depth (a still image has one pose alone)",
            )
    from_mean, to_mean = moved - moved.mean(dim=0), there - there.mean(dim=0)
    scale = float((from_mean * to_mean).sum() / from_mean.square().sum())
    if scale <= 0:
        raise InputError(
            "the file's poses and the source's move in opposite directions",
            where=where,
            fix="give poses of the same frames in the same order, camera by camera",
        )
    translation = there.mean(dim=0) - scale * moved.mean(dim=0)
    error = (scale * from_mean - to_mean).norm() / to_mean.norm()
    return Similarity(scale, rotation, translation, float(error))
