"""A clip as a video: each frame, its depth and masks, and where its camera stands on the path."""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.clips.pictures.camera_path import SIDES, CameraPath, draw_path
from lyra_data.clips.pictures.canvas import TEXT, Canvas
from lyra_data.clips.pictures.panels import Panel, panels_of
from lyra_data.media.colour_maps import Picture
from lyra_data.media.video import write_video
from lyra_data.scene.clip import Clip

CELL, MARGIN, GAP = 432, 12, 8
"""Pixels; together 896 across: only at multiples of 128 does x264 give the same bytes twice, as its
vector code reads beyond the ends of rows."""

MAX_HEIGHT, PATH_HEIGHT = 440, 300


def path_video(clip: Clip) -> UInt8[Tensor, "frame 3 height width"]:
    """Draw a picture for every frame; sides are even, as video needs them."""
    panels, path = panels_of(clip), CameraPath.of(clip)
    drawn = [torch.from_numpy(_page(clip, panels, path, index)) for index in range(len(clip))]
    return rearrange(torch.stack(drawn), "frame y x channel -> frame channel y x").contiguous()


def write_path_video(clip: Clip, path: Path) -> None:
    """Write it as MP4 (H.264), at the clip's frame rate; the same clip gives the same bytes.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    write_video(path_video(clip), path, fps=clip.fps, lossless=False)


def _page(clip: Clip, panels: list[Panel], path: CameraPath, index: int) -> Picture:
    shape = clip.cameras.height / clip.cameras.width
    wide = min(CELL, round(MAX_HEIGHT / shape))
    height = max(1, round(wide * shape))
    row_height = TEXT + 8 + height + 6 + TEXT + 12
    num_rows = -(-len(panels) // 2)
    whole = MARGIN + num_rows * row_height + PATH_HEIGHT
    canvas = Canvas(2 * MARGIN + 2 * CELL + GAP, whole + whole % 2)
    for position, panel in enumerate(panels):
        left = MARGIN + position % 2 * (CELL + GAP)
        top = MARGIN + position // 2 * row_height
        title = f"frame {index} of 0 to {len(clip) - 1}" if panel.legend is None else panel.title
        canvas.text(title, left, top)
        canvas.put(panel.draw(index, height, wide), left, top + TEXT + 8)
        if panel.legend is not None:
            panel.legend(canvas, left, top + TEXT + 8 + height + 5)
    top = MARGIN + num_rows * row_height
    for column, side in enumerate(SIDES):
        picture = draw_path(path, side, PATH_HEIGHT, CELL, current=index)
        canvas.put(picture, MARGIN + column * (CELL + GAP), top)
    return canvas.pixels
