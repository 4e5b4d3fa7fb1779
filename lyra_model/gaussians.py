"""Gaussians: a 3D Gaussian scene with named fields."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Gaussians:
    """Activated Gaussians, ready to render.

    Attributes:
        means: centres in the world, OpenCV axes.
        scales: standard deviations along the own axes, in world units, positive.
        quats: rotations (w, x, y, z) from own axes to the world, unit length.
        opacities: 0..1.
        colors: RGB, 0..1.
    """

    means: Float[Tensor, "gaussian 3"]
    scales: Float[Tensor, "gaussian 3"]
    quats: Float[Tensor, "gaussian 4"]
    opacities: Float[Tensor, " gaussian"]
    colors: Float[Tensor, "gaussian 3"]

    def __len__(self) -> int:
        return len(self.means)

    def map(self, change) -> Gaussians:
        """The Gaussians with `change` applied to every field."""
        return Gaussians(**{f.name: change(getattr(self, f.name)) for f in fields(self)})

    def __getitem__(self, which: Tensor | slice) -> Gaussians:
        return self.map(lambda field: field[which])

    def to(self, *args, **kwargs) -> Gaussians:
        return self.map(lambda field: field.to(*args, **kwargs))

    def detach(self) -> Gaussians:
        return self.map(lambda field: field.detach())

    def transformed(self, target_from_source: Float[Tensor, "4 4"]) -> Gaussians:
        """The same Gaussians seen from another frame of reference (rigid transform)."""
        rotation, translation = target_from_source[:3, :3], target_from_source[:3, 3]
        return Gaussians(
            means=self.means @ rotation.T + translation,
            scales=self.scales,
            quats=multiply_quaternions(quaternion_from_matrix(rotation)[None], self.quats),
            opacities=self.opacities,
            colors=self.colors,
        )

    @staticmethod
    def concatenate(parts: list[Gaussians]) -> Gaussians:
        names = [f.name for f in fields(Gaussians)]
        return Gaussians(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})


def quaternion_from_matrix(rotation: Float[Tensor, "3 3"]) -> Float[Tensor, 4]:
    """Unit quaternion (w, x, y, z) of a rotation matrix, stable for every angle.

    The eigenvector of the largest eigenvalue of Bar-Itzhack's symmetric matrix ("New method for
    extracting the quaternion from a rotation matrix", 2000).
    """
    m = rotation.double()
    matrix = m.new_zeros(4, 4)
    matrix[0, 0] = m[0, 0] + m[1, 1] + m[2, 2]
    vector = torch.stack([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    matrix[0, 1:] = vector
    matrix[1:, 0] = vector
    matrix[1:, 1:] = m + m.T - matrix[0, 0] * torch.eye(3, dtype=m.dtype, device=m.device)
    quaternion = torch.linalg.eigh(matrix / 3.0).eigenvectors[:, -1]
    sign = 1.0 if float(quaternion[0]) >= 0 else -1.0
    return (sign * quaternion).to(rotation.dtype)


def multiply_quaternions(
    left: Float[Tensor, "*#batch 4"], right: Float[Tensor, "*#batch 4"]
) -> Float[Tensor, "*batch 4"]:
    """Hamilton product: first `right`, then `left`."""
    lw, lx, ly, lz = left.unbind(-1)
    rw, rx, ry, rz = right.unbind(-1)
    return torch.stack(
        [
            lw * rw - lx * rx - ly * ry - lz * rz,
            lw * rx + lx * rw + ly * rz - lz * ry,
            lw * ry - lx * rz + ly * rw + lz * rx,
            lw * rz + lx * ry - ly * rx + lz * rw,
        ],
        dim=-1,
    )
