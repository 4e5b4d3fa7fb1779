"""Draw a scene's views beside what was rendered of them: a row a view, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, UInt8

from lyra_data.clips.pictures.canvas import (
    PALE,
    PAPER,
    TEXT,
    TITLE,
    Canvas,
    fitted,
    resized,
    text_width,
)
from lyra_data.clips.pictures.panels import colour_legend, swatch_legend
from lyra_data.clips.pictures.sheet import GAP, MARGIN
from lyra_data.media.colour_maps import (
    DEPTH_MAP,
    ERROR_AT_FULL_SCALE,
    ERROR_MAP,
    Limits,
    Picture,
    colour_depth,
    colour_error,
    hatch,
)

NOTHING = "nothing there"
COLUMNS = ("read", "target", "render", "depth of the render", "error")
LEAST_WIDTH, MOST_WIDTH, MOST_HEIGHT = 176, 320, 320
"""Pixels of a picture on the page: smaller ones are enlarged, larger ones made smaller."""

Pixels = UInt8[np.ndarray, "3 height width"]


@dataclass(frozen=True)
class GridRow:
    """One view of a scene, compared at one frame.

    Attributes:
        caption: one line of text.
        read: a frame that the decoder read of this view; None: it read none.
        target: the true frame.
        render: of the target's camera.
        depth: of the render, in the scene's unit.
        depth_known: False where next to nothing is drawn.
    """

    caption: str
    read: Pixels | None
    target: Pixels
    render: Pixels
    depth: Float[np.ndarray, "height width"]
    depth_known: Bool[np.ndarray, "height width"]


def comparison_grid(
    rows: Sequence[GridRow], *, title: str, subtitle: str, depth_limits: Limits, unit: str
) -> Picture:
    """Draw the page, RGB: the columns are COLUMNS, under the legends of depth and error.

    Args:
        depth_limits: depths of the first and the last colour.
        unit: of depth, "m" or "units".
    """
    height, width = _cell(*rows[0].target.shape[1:])
    inner = len(COLUMNS) * (width + GAP) - GAP
    line, row_height = TEXT + 8, TEXT + 8 + height + 10
    head = MARGIN + TITLE + 8 + 3 * line + 6
    canvas = Canvas(2 * MARGIN + inner, head + len(rows) * row_height + MARGIN)
    canvas.text(fitted(title, inner, TITLE), MARGIN, MARGIN, size=TITLE)
    top = MARGIN + TITLE + 8
    canvas.text(fitted(subtitle, inner), MARGIN, top, colour=PALE)
    _draw_legends(canvas, top + line, depth_limits, unit)
    lefts = [MARGIN + column * (width + GAP) for column in range(len(COLUMNS))]
    for left, name in zip(lefts, COLUMNS, strict=True):
        canvas.text(fitted(name, width), left, top + 2 * line)
    for number, row in enumerate(rows):
        top = head + number * row_height
        canvas.text(fitted(row.caption, inner), MARGIN, top, colour=PALE)
        for left, picture in zip(lefts, _pictures(row, height, width, depth_limits), strict=True):
            canvas.put(picture, left, top + line)
    return canvas.pixels


def _draw_legends(canvas: Canvas, top: int, depth_limits: Limits, unit: str) -> None:
    canvas.text("depth", MARGIN, top)
    left = colour_legend(canvas, MARGIN + 48, top, DEPTH_MAP, depth_limits, unit, falling=True)
    swatch_legend(canvas, left, top, None, NOTHING)
    left += text_width(NOTHING) + 2 * TEXT + 24
    canvas.text("error", left, top)
    error_limits = Limits(0.0, ERROR_AT_FULL_SCALE)
    colour_legend(canvas, left + 48, top, ERROR_MAP, error_limits, "", falling=False)


def _cell(height: int, width: int) -> tuple[int, int]:
    """Return height and width of a picture on the page."""
    wide = min(max(width, LEAST_WIDTH), MOST_WIDTH, max(1, MOST_HEIGHT * width // height))
    return max(1, round(wide * height / width)), wide


def _pictures(row: GridRow, height: int, width: int, limits: Limits) -> list[Picture]:
    """Return the pictures of a row, one a column, in the size that they have on the page."""
    depth = resized(row.depth, height, width, smooth=False)
    known = resized(row.depth_known.astype(np.uint8), height, width, smooth=False) > 0
    error = colour_error(row.render, row.target)
    return [
        _blank(height, width) if row.read is None else _photo(row.read, height, width),
        _photo(row.target, height, width),
        _photo(row.render, height, width),
        colour_depth(depth, known, limits),
        resized(error, height, width, smooth=False),
    ]


def _photo(pixels: Pixels, height: int, width: int) -> Picture:
    picture = np.ascontiguousarray(rearrange(pixels, "c y x -> y x c"))
    return resized(picture, height, width, smooth=True)


def _blank(height: int, width: int) -> Picture:
    return hatch(np.full((height, width, 3), PAPER, np.uint8), np.ones((height, width), bool))
