"""Gather the numbers of the views of two datasets, and how they have shifted."""

from __future__ import annotations

import math

from lyra_data.dataset.comparison.differences import NumberShift
from lyra_data.dataset.comparison.scenes import same_plain_columns
from lyra_data.dataset.comparison.sides import Side
from lyra_data.dataset.summary import Quantiles
from lyra_data.engine.progress import Progress
from lyra_data.scene.quality import NUMBERS
from lyra_data.views.fields import Row

PREVIEW_NUMBERS = ("known_fraction", "movement_distance", *NUMBERS)
NAMES = (*PREVIEW_NUMBERS, "depth_valid_fraction")

ViewNumbers = dict[int, dict[str, float | None]]
"""Numbers of the views of one scene, by view_index."""


def shifts_of(a: Side, b: Side, progress: Progress) -> tuple[NumberShift, ...]:
    """Read the numbers of all views of both; those of a scene that is equal are read once.

    Raises:
        CorruptDataError: an index or a plain column has changed.
    """
    scenes = list(dict.fromkeys((*a.scenes, *b.scenes)))
    ones: dict[str, list[float | None]] = {name: [] for name in NAMES}
    others: dict[str, list[float | None]] = {name: [] for name in NAMES}
    paired: dict[str, list[float]] = {name: [] for name in NAMES}
    progress.start("Numbers", len(scenes), "scenes")
    for scene_id in scenes:
        first = _numbers(a, scene_id) if scene_id in a.scenes else {}
        if scene_id in a.scenes and scene_id in b.scenes and _same_plain(a, b, scene_id):
            second = first
        else:
            second = _numbers(b, scene_id) if scene_id in b.scenes else {}
        for name in NAMES:
            ones[name] += [numbers[name] for numbers in first.values()]
            others[name] += [numbers[name] for numbers in second.values()]
            for view in first.keys() & second.keys():
                pair = _known([first[view][name], second[view][name]])
                if len(pair) == 2:
                    paired[name].append(pair[1] - pair[0])
        progress.advance(note=scene_id)
    progress.finish()
    return tuple(
        NumberShift(
            name,
            (_mean(_known(ones[name])), _mean(_known(others[name]))),
            (Quantiles.of(ones[name]), Quantiles.of(others[name])),
            len(paired[name]),
            _mean(paired[name]),
        )
        for name in NAMES
    )


def _numbers(side: Side, scene_id: str) -> ViewNumbers:
    stored = side.stored(scene_id)
    preview = stored.rows("preview", PREVIEW_NUMBERS)
    depth: list[Row] = [{"depth_valid_fraction": None} for _ in preview]
    if "depth" in side.files.modalities:  # a part of a dataset may have none
        depth = stored.rows("depth", ["depth_valid_fraction"])
    return {
        row["view_index"]: {name: {**row, **more}[name] for name in NAMES}
        for row, more in zip(preview, depth, strict=True)
    }


def _same_plain(a: Side, b: Side, scene_id: str) -> bool:
    return all(
        same_plain_columns(a.stored(scene_id), b.stored(scene_id), modality)
        for modality in ("preview", "depth")
        if modality in (*a.files.modalities, *b.files.modalities)
    )


def _known(numbers: list[float | None]) -> list[float]:
    return [number for number in numbers if number is not None and not math.isnan(number)]


def _mean(numbers: list[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None
