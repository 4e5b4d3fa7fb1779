"""Files of one scene for its page: a video and a strip of frames for every view, a sheet of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lyra_data.dataset.pictures import facts_of_scene, write_scene_sheet
from lyra_data.dataset.pictures.view_pictures import (
    ViewFrames,
    common_limits,
    read_frames,
    spread,
)
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.atomic import write_atomically
from lyra_data.media.colour_maps import Limits, Picture
from lyra_data.media.video import write_video
from lyra_data.scene.quality import NUMBERS
from lyra_data.views.fields import Row
from lyra_model.gaussians import quaternion_from_matrix

SHEET_FILE = "sheet.png"
NUMBER_NAMES = ("known_fraction", *NUMBERS)
"""Numbers of a view that the pages filter by and list."""

LAYERS = ("frames", "depth", "invented")
"""Layers of a view's video, one below the other; the page shows one of them."""

VIDEO_WIDTH = 384  # at multiples of 128 x264 gives the same bytes twice
_STRIP_WIDTH, _STRIP_FRAMES = 128, 3
_QUALITY = 70


@dataclass(frozen=True)
class ViewCard:
    """One view, as the pages name it.

    Attributes:
        facts: its columns: trajectory, motion_reversed, num_frames, height, width, fps, ...
        numbers: those of NUMBER_NAMES; None where one could not be measured.
        poses: a row a frame: quaternion (w, x, y, z) camera to world, then the position.
        slopes: of the edges of the first picture's rays: left, right, top, bottom (x/z and y/z).
        panel_height: of one layer of the video, in pixels; its width is VIDEO_WIDTH.
    """

    view_index: int
    facts: Row
    numbers: tuple[float | None, ...]
    poses: list[list[float]]
    slopes: list[float]
    panel_height: int

    @property
    def video(self) -> str:
        """Return the name of its video file."""
        return f"view_{self.view_index}.mp4"

    @property
    def strip(self) -> str:
        """Return the name of the picture of its first, middle and last frame."""
        return f"view_{self.view_index}.webp"

    @property
    def title(self) -> str:
        """Return e.g. "zoom in, reversed"."""
        backwards = ", reversed" if self.facts["motion_reversed"] else ""
        return f"{self.facts['trajectory'].replace('_', ' ')}{backwards}"


@dataclass(frozen=True)
class SceneCard:
    """One scene, as the pages name it; `focus` is a point that its views look at, world."""

    scene_id: str
    split: str
    focus: list[float]
    views: tuple[ViewCard, ...]


def write_scene_files(scene: SceneReader, split: str, folder: Path) -> SceneCard:
    """Write the files of a scene into a folder that is there; one view is in memory at a time.

    Raises:
        CorruptDataError: the bytes have changed.
        StorageError: the disk is full or cannot be written.
    """
    facts = facts_of_scene(scene)
    limits = common_limits(scene, facts)
    columns = scene.read_fields([*NUMBER_NAMES, "camera_to_world", "intrinsics"])
    views = []
    for of_view, row in zip(facts, columns, strict=True):
        views.append(_card(of_view, row))
        frames = read_frames(scene, of_view, range(of_view["num_frames"]))
        _write_video(frames, limits, views[-1], folder)
        _write_strip(frames, views[-1], folder)
        del frames
    write_scene_sheet(scene, folder / SHEET_FILE)
    focus = _focus(scene, facts[0], columns[0])
    return SceneCard(scene.scene_id, split, focus, tuple(views))


def _card(facts: Row, row: Row) -> ViewCard:
    height, width = facts["height"], facts["width"]
    fx, fy, cx, cy = (float(value) for value in row["intrinsics"][0])
    edges = [-cx / fx, (width - cx) / fx, -cy / fy, (height - cy) / fy]
    return ViewCard(
        view_index=facts["view_index"],
        facts=facts,
        numbers=tuple(_finite(row[name]) for name in NUMBER_NAMES),
        poses=[_pose(matrix) for matrix in row["camera_to_world"]],
        slopes=[round(edge, 5) for edge in edges],
        panel_height=2 * max(1, round(VIDEO_WIDTH * height / width / 2)),
    )


def _pose(matrix: torch.Tensor) -> list[float]:
    pose = matrix.double().reshape(4, 4)
    return [round(float(v), 5) for v in (*quaternion_from_matrix(pose[:3, :3]), *pose[:3, 3])]


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _focus(scene: SceneReader, facts: Row, row: Row) -> list[float]:
    """Return the point at the median depth before the first camera of the first view."""
    (values,) = scene.read_fields(
        ["depth", "depth_valid"], view_indices=[facts["view_index"]], frames=[0]
    )
    known = values["depth"][values["depth_valid"]]
    depth = float(known.median()) if len(known) else 1.0
    pose = row["camera_to_world"][0].double().reshape(4, 4)
    return [round(float(v), 5) for v in pose[:3, 3] + depth * pose[:3, 2]]


def _write_video(frames: ViewFrames, limits: Limits, card: ViewCard, folder: Path) -> None:
    height = card.panel_height
    pages = np.empty((len(frames.indices), len(LAYERS) * height, VIDEO_WIDTH, 3), np.uint8)
    for layer, draw in enumerate(frames.panels(limits)):
        for position in range(len(frames.indices)):
            rows = slice(layer * height, (layer + 1) * height)
            pages[position, rows] = draw(position, height, VIDEO_WIDTH)
    video = torch.from_numpy(pages).permute(0, 3, 1, 2)
    write_video(video, folder / card.video, fps=card.facts["fps"], lossless=False)


def _write_strip(frames: ViewFrames, card: ViewCard, folder: Path) -> None:
    draw, width = frames.panels(Limits(0.0, 1.0))[0], _STRIP_WIDTH
    height = max(1, round(width * card.facts["height"] / card.facts["width"]))
    chosen = spread(len(frames.indices), _STRIP_FRAMES)
    _write_picture([draw(position, height, width) for position in chosen], folder / card.strip)


def _write_picture(pictures: Sequence[Picture], path: Path) -> None:
    with write_atomically(path) as temporary:
        picture = Image.fromarray(np.concatenate(pictures, axis=1))
        picture.save(temporary, "WEBP", quality=_QUALITY, method=4)
