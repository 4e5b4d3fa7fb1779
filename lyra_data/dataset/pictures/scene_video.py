"""Draw a scene as a video: all views side by side, each frame with its depth and its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.clips.pictures.canvas import TEXT, Canvas, fitted
from lyra_data.dataset.pictures.view_pictures import common_limits, facts_of_scene, read_frames
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.media.video import write_video

WIDTH, MARGIN, GAP = 1280, 10, 5
"""Pixels. At multiples of 128 x264 gives the same bytes twice."""

VIEWS_ACROSS = 2
MAX_HEIGHT = 260


def scene_video(scene: SceneReader) -> UInt8[Tensor, "frame 3 page_height page_width"]:
    """Draw a page for every frame; shorter views stay at their last. Sides are even.

    One view's frames are in memory at a time, besides the pages.
    """
    views = facts_of_scene(scene)
    limits = common_limits(scene, views)
    num_frames = max(facts["num_frames"] for facts in views)
    across = min(VIEWS_ACROSS, len(views))
    block = (WIDTH - 2 * MARGIN - (across - 1) * 2 * MARGIN) // across
    cell = (block - 2 * GAP) // 3
    shape = max(facts["height"] / facts["width"] for facts in views)
    height = max(1, min(round(cell * shape), MAX_HEIGHT))
    row_height = TEXT + 8 + height + 12
    page = MARGIN + -(-len(views) // across) * row_height
    pages = np.full((num_frames, page + page % 2, WIDTH, 3), 255, np.uint8)
    for number, facts in enumerate(views):
        indices = range(facts["num_frames"])
        view = read_frames(scene, facts, indices)
        left = MARGIN + number % across * (block + 2 * MARGIN)
        top = MARGIN + number // across * row_height
        label = Canvas(block, TEXT + 6)
        label.text(fitted(view.title, block), 0, 0)
        pages[:, top : top + TEXT + 6, left : left + block] = label.pixels
        high = min(height, round(cell * facts["height"] / facts["width"]))
        wide = min(cell, round(high * facts["width"] / facts["height"]))
        begin = top + TEXT + 8
        for column, draw in enumerate(view.panels(limits)):
            start = left + column * (cell + GAP)
            for index in indices:
                pages[index, begin : begin + high, start : start + wide] = draw(index, high, wide)
            last = pages[len(indices) - 1, begin : begin + high, start : start + wide]
            pages[len(indices) :, begin : begin + high, start : start + wide] = last
    return torch.from_numpy(pages).permute(0, 3, 1, 2)


def write_scene_video(scene: SceneReader, path: Path) -> None:
    """Write it as MP4 (H.264), at the first view's frame rate.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    fps = facts_of_scene(scene)[0]["fps"]
    write_video(scene_video(scene), path, fps=fps, lossless=False)
