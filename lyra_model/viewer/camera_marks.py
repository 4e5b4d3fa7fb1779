"""Cameras to draw in a page: a pyramid each, with its frame in it, and the way that it goes."""

from __future__ import annotations

import base64
import colorsys
import io
from dataclasses import dataclass
from typing import Any

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import quaternion_from_matrix

PICTURE_SIDE = 256
"""Longest side of a frame in the page, in pixels."""

_JPEG_QUALITY = 85
_GOLDEN_ANGLE = 0.381966  # of a turn: hues of neighbours in a list lie far apart
_FIRST_HUE = 0.58


@dataclass(frozen=True)
class MarkedView:
    """A camera that moves through the steps of a page.

    Attributes:
        cameras: one a step.
        frames: RGB, 0..255; what each of them saw.
        path: all cameras of the way, in order; it is drawn as a line.
    """

    name: str
    cameras: Cameras
    frames: UInt8[Tensor, "step 3 height width"]
    path: Cameras


@dataclass(frozen=True)
class CameraMarks:
    """The cameras of a page.

    Attributes:
        frame_numbers: what each step shows, as a number of its frame, from 0.
        size: height of a camera's pyramid, in world units.
    """

    views: tuple[MarkedView, ...]
    frame_numbers: tuple[int, ...]
    size: float


def marks_data(marks: CameraMarks) -> dict[str, Any]:
    """Return what camera_marks.js reads; the same cameras and frames give the same text."""
    return {
        "size": marks.size,
        "frame_numbers": list(marks.frame_numbers),
        "views": [
            {
                "name": view.name,
                "colour": mark_colour(index),
                "width": view.cameras.width,
                "height": view.cameras.height,
                "poses": pose_rows(view.cameras),
                "intrinsics": [
                    [round(number, 4) for number in row] for row in view.cameras.intrinsics.tolist()
                ],
                "trail": [row[4:] for row in pose_rows(view.path)],
                "frames": [_jpeg(frame) for frame in view.frames],
            }
            for index, view in enumerate(marks.views)
        ],
    }


def mark_colour(index: int) -> list[float]:
    """Return the colour of a list's camera, RGB, 0..1: no two neighbours look alike."""
    colour = colorsys.hls_to_rgb((_FIRST_HUE + index * _GOLDEN_ANGLE) % 1, 0.66, 0.95)
    return [round(channel, 3) for channel in colour]


def pose_rows(cameras: Cameras) -> list[list[float]]:
    """Return a row a frame: quaternion (w, x, y, z) camera to world, then the position."""
    transforms = cameras.camera_to_world.detach().cpu().double()
    return [
        [round(float(v), 6) for v in (*quaternion_from_matrix(pose[:3, :3]), *pose[:3, 3])]
        for pose in transforms
    ]


def _jpeg(frame: UInt8[Tensor, "3 height width"]) -> str:
    picture = Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(stream.getvalue()).decode("ascii")
