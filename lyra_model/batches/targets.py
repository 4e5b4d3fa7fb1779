"""Hold frames to render and compare with, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import unit_from_bytes

AnyTargets = TypeVar("AnyTargets", bound="TargetFrames")


@dataclass(frozen=True)
class TargetFrames:
    """Frames to render and compare with, in the frame of the first input camera.

    Attributes:
        rgb: 0..1.
        depth: z depth, 0 where unknown.
        depth_valid: True where the depth is known.
        cameras: of the frames.
        times: the moment of the source that every frame shows, in frames; reversed views count
            down. It means nothing where the scene stands still.
    """

    rgb: Float[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame height width"]
    depth_valid: Bool[Tensor, "frame height width"]
    cameras: Cameras
    times: Float[Tensor, " frame"]

    def __len__(self) -> int:
        return len(self.rgb)

    def __getitem__(self: AnyTargets, frames: slice | list[int]) -> AnyTargets:
        return type(self)(**{name: value[frames] for name, value in vars(self).items()})

    def to(self: AnyTargets, device: torch.device) -> AnyTargets:
        """Move all tensors to a device."""
        return type(self)(**{name: value.to(device) for name, value in vars(self).items()})

    @classmethod
    def concatenate(cls: type[AnyTargets], parts: Sequence[AnyTargets]) -> AnyTargets:
        """Join the frames of several targets, in order."""
        joined = {
            field.name: torch.cat([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name != "cameras"
        }
        return cls(**joined, cameras=Cameras.concatenate([part.cameras for part in parts]))


@dataclass(frozen=True)
class LeanTargets:
    """Target frames as lean as they are stored: a third of the bytes of TargetFrames.

    They travel so from process to process and to an accelerator, and are widened there.

    Attributes:
        rgb: uint8 0..255, or float32 0..1 where the frames were resized.
        depth: halves or float32; the dataset holds exactly 0 where it is unknown.
        cameras, times: as TargetFrames'.
    """

    rgb: Tensor
    depth: Float[Tensor, "frame height width"]
    cameras: Cameras
    times: Float[Tensor, " frame"]

    @property
    def known_depth(self) -> Float[Tensor, " value"]:
        """Return the depth values that are known, as one row of float32."""
        return self.depth[self.depth > 0].float()

    def to(self, device: torch.device) -> TargetFrames:
        """Return the frames on a device, in float32."""
        rgb, depth = self.rgb.to(device), self.depth.to(device).float()
        return TargetFrames(
            rgb=unit_from_bytes(rgb) if rgb.dtype == torch.uint8 else rgb,
            depth=depth,
            depth_valid=depth > 0,
            cameras=self.cameras.to(device),
            times=self.times.to(device),
        )


@dataclass(frozen=True)
class Targets(TargetFrames):
    """Target frames of which it is known what the teacher invented; evaluation needs it.

    Attributes:
        filled: True where the teacher invented the pixel.
    """

    filled: Bool[Tensor, "frame height width"]
