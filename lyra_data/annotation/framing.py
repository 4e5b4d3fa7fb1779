"""Framing: pictures, depth and cameras brought to the working size together.

The largest centred window of the target's shape is cut out, then resized. Colours are filtered
(bicubic, widened when shrinking, so nothing aliases). Depth is picked at the centre of each new
pixel and never mixed: no depth appears between an object and what is behind it, and unknown stays
unknown. The cameras follow both steps exactly. Enlarging is allowed; it adds pixels, not detail.

ReferenceFraming does as the reference does, for data meant to match the released models; how the
two differ is in docs/adr/0014-frame-selection-and-framing.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from lyra_data.media.images import image_of, tensor_of
from lyra_data.scene.cameras import Cameras

FramingStyle = Literal["centred", "reference"]


@dataclass(frozen=True)
class Framing:
    """The way from a picture's size to the working size.

    Attributes:
        source_height, source_width: the picture as it is.
        top, left, window_height, window_width: the part that is kept.
        height, width: the working size.
    """

    source_height: int
    source_width: int
    top: int
    left: int
    window_height: int
    window_width: int
    height: int
    width: int

    @classmethod
    def centred(cls, source_height: int, source_width: int, height: int, width: int) -> Framing:
        """Keep the largest centred window whose shape is the target's, to the nearest pixel."""
        if source_width * height > source_height * width:
            window_height = source_height
            window_width = max(1, round(source_height * width / height))
        else:
            window_width = source_width
            window_height = max(1, round(source_width * height / width))
        top, left = (source_height - window_height) // 2, (source_width - window_width) // 2
        return cls(
            source_height, source_width, top, left, window_height, window_width, height, width
        )

    @property
    def enlarges(self) -> bool:
        return self.height > self.window_height or self.width > self.window_width

    def __str__(self) -> str:
        """Describe the framing for provenance: "741x500, window 741x494 at (0, 3), to 288x192"."""
        return (
            f"{self.source_width}x{self.source_height}, window {self.window_width}x"
            f"{self.window_height} at ({self.left}, {self.top}), to {self.width}x{self.height}"
        )

    def of_frames(
        self, frames: UInt8[Tensor, "frame 3 source_height source_width"]
    ) -> UInt8[Tensor, "frame 3 height width"]:
        right, bottom = self.left + self.window_width, self.top + self.window_height
        window = (self.left, self.top, right, bottom)
        pictures = [image_of(frame).crop(window) for frame in frames]
        size = (self.width, self.height)
        resized = [picture.resize(size, Image.Resampling.BICUBIC) for picture in pictures]
        return torch.stack([tensor_of(picture) for picture in resized])

    def of_depth(
        self, depth: Float[Tensor, "frame source_height source_width"]
    ) -> Float[Tensor, "frame height width"]:
        return self._picked(depth)

    def of_mask(
        self, mask: Bool[Tensor, "frame source_height source_width"]
    ) -> Bool[Tensor, "frame height width"]:
        return self._picked(mask)

    def of_cameras(self, cameras: Cameras) -> Cameras:
        cropped = cameras.cropped(self.top, self.left, self.window_height, self.window_width)
        return cropped.resized(self.height, self.width)

    def _picked(self, values: Tensor) -> Tensor:
        """Return the values under the centres of the new pixels."""
        rows = self.top + _centres(self.height, self.window_height)
        columns = self.left + _centres(self.width, self.window_width)
        return values[:, rows][:, :, columns]


def _centres(new_size: int, old_size: int) -> Tensor:
    """Return the old index of the pixel that holds each new pixel's centre, floor((i + 0.5) old /
    new)."""
    return (2 * torch.arange(new_size) + 1) * old_size // (2 * new_size)


@dataclass(frozen=True)
class ReferenceFraming(Framing):
    """The reference's resize for its decoder (data.py, ImageTransform).

    Window sides are rounded down and its corner half to even. Colours are bilinear, antialiased.
    Depth is picked at the corners of the new pixels, not at their centres. The principal point
    moves by exactly half of what is cut away, which is half a pixel off the window where that is an
    odd number of pixels.
    """

    @classmethod
    def centred(
        cls, source_height: int, source_width: int, height: int, width: int
    ) -> ReferenceFraming:
        """Keep the largest centred window whose shape is the target's, rounded down."""
        scale = min(source_height / height, source_width / width)
        window_height, window_width = int(height * scale), int(width * scale)
        top = round((source_height - window_height) / 2)
        left = round((source_width - window_width) / 2)
        return cls(
            source_height, source_width, top, left, window_height, window_width, height, width
        )

    def __str__(self) -> str:
        return f"{super().__str__()}, as the reference"

    def of_colours(
        self, frames: Float[Tensor, "frame 3 source_height source_width"]
    ) -> Float[Tensor, "frame 3 height width"]:
        """Frame pictures of any range."""
        size = (self.height, self.width)
        return F.interpolate(self._window(frames), size, mode="bilinear", antialias=True)

    def of_frames(
        self, frames: UInt8[Tensor, "frame 3 source_height source_width"]
    ) -> UInt8[Tensor, "frame 3 height width"]:
        return self.of_colours(frames.float()).round().clamp(0, 255).to(torch.uint8)

    def of_cameras(self, cameras: Cameras) -> Cameras:
        cut = (
            (self.source_width - self.window_width) / 2,
            (self.source_height - self.window_height) / 2,
        )
        moved = cameras.intrinsics - cameras.intrinsics.new_tensor([0.0, 0.0, *cut])
        window = replace(
            cameras, intrinsics=moved, height=self.window_height, width=self.window_width
        )
        return window.resized(self.height, self.width)

    def _picked(self, values: Tensor) -> Tensor:
        window = self._window(values)[:, None]
        resized = F.interpolate(window.float(), (self.height, self.width), mode="nearest")
        return resized[:, 0].to(values.dtype)

    def _window(self, values: Tensor) -> Tensor:
        bottom, right = self.top + self.window_height, self.left + self.window_width
        return values[..., self.top : bottom, self.left : right]


FRAMINGS: dict[FramingStyle, type[Framing]] = {"centred": Framing, "reference": ReferenceFraming}
"""The styles of framing by their names in params."""
