"""Draw a dataset's contact sheet: a row a scene, its first frame and one far along each path."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from lyra_data.clips.pictures.canvas import PALE, TEXT, Canvas, fitted, resized
from lyra_data.clips.pictures.sheet import GAP, MARGIN
from lyra_data.dataset.pictures.view_pictures import spread
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.media.colour_maps import Picture

MAX_SCENES = 8
"""Scenes on the page, spread evenly over the dataset."""

MAX_PATHS = 6
"""Views of a scene that are shown, spread evenly over it."""

CELL_WIDTH, MAX_CELL_HEIGHT = 176, 132


def dataset_sheet(dataset: SceneDataset) -> Picture:
    """Draw the page, RGB; of each view on it one frame is decoded.

    Raises:
        CorruptDataError: bytes have changed.
    """
    chosen = [dataset[index] for index in spread(len(dataset), MAX_SCENES)]
    rows = [_row(scene) for scene in chosen]
    columns = max(map(len, rows))
    line = TEXT + 6
    heights = [max(picture.shape[0] for _, picture in row) + 2 * line + GAP for row in rows]
    width = 2 * MARGIN + columns * (CELL_WIDTH + GAP) - GAP
    canvas = Canvas(width, 2 * MARGIN + sum(heights))
    top = MARGIN
    for scene, row, height in zip(chosen, rows, heights, strict=True):
        canvas.text(fitted(scene.scene_id, width - 2 * MARGIN), MARGIN, top)
        for column, (title, picture) in enumerate(row):
            left = MARGIN + column * (CELL_WIDTH + GAP)
            canvas.put(picture, left, top + line)
            below = top + line + picture.shape[0] + 2
            canvas.text(fitted(title, CELL_WIDTH), left, below, colour=PALE)
        top += height
    return canvas.pixels


def dataset_sheet_png(dataset: SceneDataset) -> bytes:
    """Return the page as a PNG; the same dataset gives the same bytes."""
    file = io.BytesIO()
    Image.fromarray(dataset_sheet(dataset)).save(file, format="PNG", optimize=True)
    return file.getvalue()


def _row(scene: SceneReader) -> list[tuple[str, Picture]]:
    """Return titles and pictures: a first frame, and one at three quarters of some views; paths
    that go round end where they began."""
    facts = scene.read_fields(["view_index", "trajectory", "motion_reversed", "num_frames"])
    row = [("first frame", _frame(scene, facts[0]["view_index"], 0))]
    for index in spread(len(facts), MAX_PATHS):
        view = facts[index]
        title = view["trajectory"] + (", reversed" if view["motion_reversed"] else "")
        row.append((title, _frame(scene, view["view_index"], 3 * view["num_frames"] // 4)))
    return row


def _frame(scene: SceneReader, view_index: int, number: int) -> Picture:
    (values,) = scene.read_fields(["frames"], view_indices=[view_index], frames=[number])
    frame = np.ascontiguousarray(values["frames"][0].permute(1, 2, 0).numpy())
    height, width = frame.shape[:2]
    scale = min(CELL_WIDTH / width, MAX_CELL_HEIGHT / height)
    return resized(frame, max(1, round(height * scale)), max(1, round(width * scale)), smooth=True)
