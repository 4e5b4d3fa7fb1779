"""Draw frames of a packaged view: the frame, its depth, and what the teacher invented."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lyra_data.clips.pictures.canvas import resized
from lyra_data.clips.pictures.panels import tinted
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.media.colour_maps import Limits, Picture, colour_depth, depth_limits
from lyra_data.views.fields import Row

INVENTED = (0, 130, 200)
PIXELS = ("frames", "depth", "depth_valid", "filled")
FACTS = ("trajectory", "motion_reversed", "num_frames", "height", "width", "fps", "depth_scale")
DEPTH_SAMPLES = 3
"""Frames of every view that the colours of depth are chosen from."""


@dataclass(frozen=True)
class ViewFrames:
    """Some frames of a view to draw, in order.

    Attributes:
        facts: its FACTS and known_fraction.
        indices: numbers of the frames.
        values: the decoded PIXELS.
    """

    view_index: int
    facts: Row
    indices: tuple[int, ...]
    values: dict[str, torch.Tensor]

    @property
    def title(self) -> str:
        """Return e.g. "view 3: zoom_out, motion reversed"."""
        backwards = ", motion reversed" if self.facts["motion_reversed"] else ""
        return f"view {self.view_index}: {self.facts['trajectory']}{backwards}"

    def panels(self, limits: Limits) -> list[Callable[[int, int, int], Picture]]:
        """Return functions that draw frame, depth and mask; each takes a position among `indices`,
        a height and a width."""

        def frame(position: int, height: int, width: int) -> Picture:
            picture = self.values["frames"][position].permute(1, 2, 0).contiguous().numpy()
            return resized(picture, height, width, smooth=True)

        def depth(position: int, height: int, width: int) -> Picture:
            values = _picked(self.values["depth"][position].float(), height, width)
            known = _picked(self.values["depth_valid"][position], height, width) > 0
            return colour_depth(values, known, limits)

        def mask(position: int, height: int, width: int) -> Picture:
            invented = _picked(self.values["filled"][position], height, width) > 0
            return tinted(frame(position, height, width), invented, INVENTED)

        return [frame, depth, mask]


def facts_of_scene(scene: SceneReader) -> list[Row]:
    """Read FACTS, known_fraction and movement_distance of every view, with its view_index.

    A distance that is not stated (NaN) is None.
    """
    names = ["view_index", *FACTS, "known_fraction", "movement_distance"]
    rows = scene.read_fields(names)
    for row in rows:
        if math.isnan(row["movement_distance"]):
            row["movement_distance"] = None
    return rows


def read_frames(scene: SceneReader, facts: Row, indices: Sequence[int]) -> ViewFrames:
    """Read some frames of a view, given its facts.

    Raises:
        CorruptDataError: the bytes have changed.
    """
    view_index = facts["view_index"]
    (values,) = scene.read_fields(PIXELS, view_indices=[view_index], frames=indices)
    return ViewFrames(view_index, facts, tuple(indices), values)


def common_limits(scene: SceneReader, views: Sequence[Row]) -> Limits:
    """Return one range of depth for all views of a scene, so that colours can be compared."""
    depths = []
    for facts in views:
        (values,) = scene.read_fields(
            ["depth", "depth_valid"],
            view_indices=[facts["view_index"]],
            frames=spread(facts["num_frames"], DEPTH_SAMPLES),
        )
        depths.append(values["depth"][values["depth_valid"]])
    return depth_limits(torch.cat(depths))


def spread(num_frames: int, number: int) -> list[int]:
    """Return so many frames, spread evenly, the first and the last among them."""
    indices = np.linspace(0, num_frames - 1, min(number, num_frames)).round().astype(int)
    return [int(index) for index in np.unique(indices)]


def _picked(values: Any, height: int, width: int) -> np.ndarray:
    array = values.numpy()
    array = array.astype(np.uint8) if array.dtype == np.bool_ else array
    return resized(array, height, width, smooth=False)
