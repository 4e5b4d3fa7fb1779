"""Contact sheet: a clip on one page. Some of its frames, their depth, and the camera's path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from lyra_data.clips.pictures.camera_path import SIDES, CameraPath, draw_path
from lyra_data.clips.pictures.canvas import PALE, TEXT, TITLE, Canvas, fitted
from lyra_data.clips.pictures.panels import panels_of
from lyra_data.engine.atomic import write_atomically
from lyra_data.media.colour_maps import Picture
from lyra_data.scene.clip import Clip

MARK = ("Software", "lyra-data inspect")
"""A text chunk in each PNG: tells a sheet from other pictures before it is replaced."""

WIDTH = 1200
MARGIN, GAP = 20, 8
MAX_COLUMNS = 5
MAX_HEIGHT = 480
"""Height of a picture; those of upright clips are narrower than their column."""

PATH_HEIGHT = 340


def contact_sheet(clip: Clip) -> Picture:
    """Draw the page, RGB: a row for each kind of picture; of a single frame all kinds side by
    side."""
    indices, panels = sheet_frames(len(clip)), panels_of(clip)
    if len(indices) > 1:
        rows = [[(panel, index) for index in indices] for panel in panels]
    else:
        rows = [[(panel, 0) for panel in panels[at : at + 2]] for at in range(0, len(panels), 2)]
    inner, columns = WIDTH - 2 * MARGIN, max(map(len, rows))
    cell = (inner - GAP * (columns - 1)) // columns
    cell_height = round(cell * clip.cameras.height / clip.cameras.width)
    wide = cell if cell_height <= MAX_HEIGHT else cell * MAX_HEIGHT // cell_height
    cell_height = max(1, min(cell_height, MAX_HEIGHT))
    row_height = TEXT + 8 + cell_height + 6 + TEXT + 16
    top = MARGIN + TITLE + TEXT + 22
    canvas = Canvas(WIDTH, top + row_height * len(rows) + PATH_HEIGHT + MARGIN)
    canvas.text(fitted(clip.scene_id, inner, TITLE), MARGIN, MARGIN, size=TITLE)
    canvas.text(fitted(_subtitle(clip), inner), MARGIN, MARGIN + TITLE + 8, colour=PALE)
    for row in rows:
        before = None
        for column, (panel, index) in enumerate(row):
            left = MARGIN + column * (cell + GAP)
            below = top + TEXT + 8 + cell_height + 5
            canvas.put(panel.draw(index, cell_height, wide), left, top + TEXT + 8)
            if panel is not before:
                canvas.text(panel.title, left, top)
                if panel.legend is not None:
                    panel.legend(canvas, left, below)
            if panel.legend is None and len(indices) > 1:
                canvas.text(f"frame {index}", left, below, colour=PALE)
            before = panel
        top += row_height
    path, half = CameraPath.of(clip), inner // 2
    for column, side in enumerate(SIDES):
        canvas.put(draw_path(path, side, PATH_HEIGHT, half), MARGIN + column * half, top)
    return canvas.pixels


def sheet_frames(num_frames: int) -> list[int]:
    """Choose the frames on the page, spread evenly, the first and the last among them."""
    spread = np.linspace(0, num_frames - 1, min(MAX_COLUMNS, num_frames)).round().astype(int)
    return [int(index) for index in np.unique(spread)]


def write_sheet(clip: Clip, path: Path) -> None:
    """Write the page as a PNG; the same clip gives the same bytes.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    write_page(contact_sheet(clip), path)


def write_page(page: Picture, path: Path) -> None:
    """Write a picture that `is_sheet` knows again, and that may so be replaced.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    facts = PngImagePlugin.PngInfo()
    facts.add_text(*MARK)
    with write_atomically(path) as temporary:
        Image.fromarray(page).save(temporary, format="PNG", pnginfo=facts)


def is_sheet(path: Path) -> bool:
    """Return whether a file is a page that `write_sheet` wrote."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            return getattr(image, "text", {}).get(MARK[0]) == MARK[1]
    except (OSError, SyntaxError, ValueError):
        return False  # no PNG at all, or a broken one: not ours to replace


def _subtitle(clip: Clip) -> str:
    cameras = clip.cameras
    frames = f"{len(clip)} frames at {clip.fps:g}/s" if len(clip) > 1 else "1 frame"
    scale = "depth in metres" if clip.depth_scale == "metric" else "depth up to scale"
    return f"{frames}, {cameras.width} x {cameras.height} pixels, {scale}. {clip.prompt}".strip()
