"""Cameras, and THE statement of the project's camera conventions.

* Axes are OpenCV's: x right, y down, z forward. A point in front of the camera has z > 0.
* `camera_to_world` is a rigid 4x4 matrix acting on column vectors; its inverse is
  `world_to_camera`. A transform's name tells both of its ends.
* Intrinsics are (fx, fy, cx, cy) in pixels, without skew or distortion.
* Pixel (column i, row j) covers [i, i+1] x [j, j+1]; its centre is (i + 0.5, j + 0.5). Resizing
  an image therefore multiplies all four intrinsics by the scale and needs no half-pixel term.
  (The reference's 3D cache puts pixel centres on integers, its decoder at +0.5; see ADR 0002.)
* Depth is the z coordinate in the camera (not the distance along the ray) in metres unless a
  clip says "up_to_scale". The decoder alone predicts distance along the ray, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

PIXEL_CENTRE = 0.5
"""Offset of a pixel's centre from its index, in pixels, everywhere but in reference options."""


@dataclass(frozen=True)
class Cameras:
    """One camera per frame; all share the image size.

    Attributes:
        camera_to_world: rigid transforms, OpenCV axes.
        intrinsics: fx, fy, cx, cy in pixels of an image of `height` x `width`.
    """

    camera_to_world: Float[Tensor, "frame 4 4"]
    intrinsics: Float[Tensor, "frame 4"]
    height: int
    width: int

    def __post_init__(self) -> None:
        assert self.camera_to_world.shape[1:] == (4, 4), self.camera_to_world.shape
        assert self.intrinsics.shape == (len(self.camera_to_world), 4), self.intrinsics.shape

    def __len__(self) -> int:
        return len(self.camera_to_world)

    def __getitem__(self, frames: slice | list[int] | Tensor) -> Cameras:
        """Return the cameras of some frames, in that order; a single index needs a list."""
        return replace(
            self, camera_to_world=self.camera_to_world[frames], intrinsics=self.intrinsics[frames]
        )

    @property
    def world_to_camera(self) -> Float[Tensor, "frame 4 4"]:
        return invert_rigid(self.camera_to_world)

    @property
    def centres(self) -> Float[Tensor, "frame 3"]:
        """Camera positions in the world."""
        return self.camera_to_world[:, :3, 3]

    @property
    def intrinsic_matrices(self) -> Float[Tensor, "frame 3 3"]:
        fx, fy, cx, cy = self.intrinsics.unbind(-1)
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        rows = (fx, zero, cx, zero, fy, cy, zero, zero, one)
        return torch.stack(rows, dim=-1).reshape(-1, 3, 3)

    def resized(self, height: int, width: int) -> Cameras:
        """Return cameras of the same images resized to `height` x `width` pixels."""
        # Pixels cover [i, i + 1], so a size and a position scale alike: no half-pixel term.
        scale = self.intrinsics.new_tensor(
            [width / self.width, height / self.height, width / self.width, height / self.height]
        )
        return replace(self, intrinsics=self.intrinsics * scale, height=height, width=width)

    def cropped(self, top: int, left: int, height: int, width: int) -> Cameras:
        """Return cameras of the same images cropped to the window that starts at (left, top)
        pixels."""
        shift = self.intrinsics.new_tensor([0.0, 0.0, float(left), float(top)])
        return replace(self, intrinsics=self.intrinsics - shift, height=height, width=width)

    def reversed_in_time(self) -> Cameras:
        return replace(
            self,
            camera_to_world=self.camera_to_world.flip(0),
            intrinsics=self.intrinsics.flip(0),
        )

    def relative_to(self, world_from_reference: Float[Tensor, "4 4"]) -> Cameras:
        """Return the same cameras in the frame of a reference camera (its camera_to_world
        given)."""
        reference_from_world = invert_rigid(world_from_reference[None])[0]
        return replace(self, camera_to_world=reference_from_world @ self.camera_to_world)

    def to(self, *args, **kwargs) -> Cameras:
        """Move or convert both tensors, as torch.Tensor.to."""
        return replace(
            self,
            camera_to_world=self.camera_to_world.to(*args, **kwargs),
            intrinsics=self.intrinsics.to(*args, **kwargs),
        )

    @staticmethod
    def concatenate(parts: list[Cameras]) -> Cameras:
        """Join all frames of several cameras of one image size, in order."""
        sizes = {(part.height, part.width) for part in parts}
        assert len(sizes) == 1, f"cameras of several image sizes: {sizes}"
        return replace(
            parts[0],
            camera_to_world=torch.cat([part.camera_to_world for part in parts]),
            intrinsics=torch.cat([part.intrinsics for part in parts]),
        )


def invert_rigid(transform: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Invert rigid transforms: the rotation is transposed exactly, no matrix is solved."""
    # R^T and -R^T t. A general inverse would lose digits, and its rotation would not quite be one.
    rotation = transform[..., :3, :3].transpose(-1, -2)
    translation = -(rotation @ transform[..., :3, 3:])
    top = torch.cat([rotation, translation], dim=-1)
    bottom = transform[..., 3:, :]
    return torch.cat([top, bottom], dim=-2)
