"""The camera's path, from above and from the side, with what each camera sees as a pyramid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lyra_data.clips.pictures.canvas import INK, PALE, TEXT, Canvas, resized, text_width
from lyra_data.clips.pictures.facts import unit_of
from lyra_data.media.colour_maps import Picture
from lyra_data.scene.clip import Clip

FIRST, LAST, CURRENT, PATH = (0, 110, 60), (30, 70, 190), (220, 30, 30), (90, 90, 90)
MAX_PYRAMIDS = 7
FINE = 3
"""Lines are drawn so many times larger, and are smooth once reduced."""

MARGIN, HEAD, FOOT = 16, 28, 30
"""Pixels around the drawing, for the title above it, and for the scale bar below it."""


@dataclass(frozen=True)
class CameraPath:
    """A clip's cameras and what they see, to be drawn as pyramids of one length.

    Attributes:
        pyramids: the camera's centre and the four corners of its picture, in the world.
        unit: of the world, short.
    """

    pyramids: Float[np.ndarray, "frame 5 3"]
    unit: str

    @staticmethod
    def of(clip: Clip) -> CameraPath:
        reach = _reach(clip)
        pyramids = [_pyramid(clip, index, reach) for index in range(len(clip))]
        return CameraPath(np.stack(pyramids), unit_of(clip))

    def __len__(self) -> int:
        return len(self.pyramids)


@dataclass(frozen=True)
class Side:
    """A direction to look at the path from: the world's axes that point right and up.

    Attributes:
        right, up: an axis (0 x, 1 y, 2 z) and its sign; y points down in the world.
    """

    title: str
    right: tuple[int, int]
    up: tuple[int, int]


SIDES = (
    Side("from above (right: x, up: z, forward)", (0, 1), (2, 1)),
    Side("from the side (right: z, forward; up: -y)", (2, 1), (1, -1)),
)


def draw_path(
    path: CameraPath, side: Side, height: int, width: int, *, current: int | None = None
) -> Picture:
    """Draw one view of the path: first camera green, last blue, the current one red."""
    pyramids = [_flat(pyramid, side) for pyramid in path.pyramids]
    to_canvas, scale = _placement(np.concatenate(pyramids), height, width)
    fine = Canvas(FINE * width, FINE * height)
    if len(path) > 1:
        centres = [to_canvas(flat[:1])[0] for flat in pyramids]
        fine.draw.line(centres, fill=PATH, width=2 * FINE, joint="curve")
    for index in _drawn_cameras(len(path), current):
        colour, thickness = _look(index, len(path), current)
        apex, *base = to_canvas(pyramids[index])
        for corner in base:
            fine.draw.line([apex, corner], fill=colour, width=thickness * FINE)
        fine.draw.line([*base, base[0]], fill=colour, width=thickness * FINE)
        x, y = apex
        radius = 4 * FINE
        fine.draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    canvas = Canvas(width, height)
    canvas.put(resized(fine.pixels, height, width, smooth=True), 0, 0)
    canvas.text(side.title, MARGIN, 8)
    _scale_bar(canvas, scale, path.unit)
    if len(path) > 1:
        _legend(canvas, current)
    return canvas.pixels


def _drawn_cameras(num_frames: int, current: int | None) -> list[int]:
    """Choose the cameras that are drawn as pyramids, the most important one last, on top."""
    spread = np.linspace(0, num_frames - 1, min(MAX_PYRAMIDS, num_frames)).round().astype(int)
    indices = [int(index) for index in np.unique(spread)]
    return [index for index in indices if index != current] + ([] if current is None else [current])


def _look(index: int, num_frames: int, current: int | None) -> tuple[tuple[int, int, int], int]:
    if index == current:
        return CURRENT, 3
    if index == 0:
        return FIRST, 2
    return (LAST, 2) if index == num_frames - 1 else (PALE, 1)


def _reach(clip: Clip) -> float:
    """Return the length of a pyramid: a quarter of the path's extent; of the depth where none
    moves."""
    centres = clip.cameras.centres.double().numpy()
    extent = float(np.ptp(centres, axis=0).max())
    known = clip.depth[clip.depth_valid]
    depth = float(known.double().median()) if len(known) else 1.0
    return 0.25 * extent if extent > 1e-3 * depth else 0.1 * depth


def _pyramid(clip: Clip, index: int, reach: float) -> Float[np.ndarray, "5 3"]:
    cameras = clip.cameras
    fx, fy, cx, cy = cameras.intrinsics[index].double().tolist()
    corners = [(0, 0), (cameras.width, 0), (cameras.width, cameras.height), (0, cameras.height)]
    rays = np.array([[(x - cx) / fx, (y - cy) / fy, 1.0] for x, y in corners]) * reach
    pose = cameras.camera_to_world[index].double().numpy()
    local = np.concatenate([np.zeros((1, 3)), rays])
    return local @ pose[:3, :3].T + pose[:3, 3]


def _flat(points: Float[np.ndarray, "point 3"], side: Side) -> Float[np.ndarray, "point 2"]:
    (right, right_sign), (up, up_sign) = side.right, side.up
    return np.stack([right_sign * points[:, right], up_sign * points[:, up]], axis=1)


def _placement(
    points: Float[np.ndarray, "point 2"], height: int, width: int
) -> tuple[Callable[[Float[np.ndarray, "corner 2"]], list[tuple[float, float]]], float]:
    """Return a function from the world to the fine canvas, and the number of pixels of a unit."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([width - 2 * MARGIN, height - HEAD - FOOT - MARGIN], float)
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    middle = (low + high) / 2
    centre = np.array([width / 2, HEAD + (height - HEAD - FOOT) / 2])

    def to_canvas(flat: Float[np.ndarray, "corner 2"]) -> list[tuple[float, float]]:
        spots = FINE * (centre + (flat - middle) * scale * np.array([1.0, -1.0]))
        return [(float(x), float(y)) for x, y in spots]

    return to_canvas, scale


def _legend(canvas: Canvas, current: int | None) -> None:
    """Draw what the colours say, in the lower right corner."""
    named = {"first": FIRST, "last": LAST}
    if current is not None:
        named["this frame"] = CURRENT
    right, top = canvas.image.width - MARGIN, canvas.image.height - 20
    for name, colour in reversed(named.items()):
        canvas.text(name, right, top, colour=colour, anchor="ra")
        right -= text_width(name) + 16


def _scale_bar(canvas: Canvas, scale: float, unit: str) -> None:
    length = _round_length(0.3 * canvas.image.width / scale)
    left, bottom = MARGIN, canvas.image.height - 12
    right = left + round(length * scale)
    canvas.draw.line([(left, bottom), (right, bottom)], fill=INK, width=2)
    for x in (left, right):
        canvas.draw.line([(x, bottom - 4), (x, bottom + 4)], fill=INK, width=2)
    canvas.text(f"{length:g} {unit}", right + 8, bottom - TEXT // 2 - 2)


def _round_length(longest: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is no longer."""
    power = 10.0 ** math.floor(math.log10(longest))
    steps: Sequence[float] = (5.0, 2.0, 1.0)
    return next(step * power for step in steps if step * power <= longest)
