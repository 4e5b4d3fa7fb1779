"""Panels: what one frame of a clip shows, each kind with its title and legend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from einops import rearrange
from jaxtyping import Bool

from lyra_data.clips.pictures.canvas import PALE, TEXT, Canvas, resized, text_width
from lyra_data.clips.pictures.facts import unit_of
from lyra_data.media.colour_maps import (
    CONFIDENCE_MAP,
    DEPTH_MAP,
    Limits,
    Picture,
    colour_confidence,
    colour_depth,
    depth_limits,
)
from lyra_data.scene.clip import Clip

MOVING = (240, 110, 0)
BAR_WIDTH = 160


@dataclass(frozen=True)
class Panel:
    """One kind of picture of every frame.

    Attributes:
        draw: the picture of frame i, at a height and width in pixels.
        legend: drawn from a left upper corner on, one line of text high; None: there is none.
    """

    title: str
    draw: Callable[[int, int, int], Picture]
    legend: Callable[[Canvas, int, int], None] | None


def panels_of(clip: Clip) -> list[Panel]:
    """Return frames and depth; moving things and confidence where the clip has them."""
    panels = [Panel("frames", lambda *arguments: _frame(clip, *arguments), None), _depth(clip)]
    if clip.depth_confidence is not None:
        panels.append(_confidence(clip))
    if clip.dynamic_mask is not None:
        panels.append(_moving(clip))
    return panels


def _frame(clip: Clip, index: int, height: int, width: int) -> Picture:
    picture = rearrange(clip.frames[index].numpy(), "c h w -> h w c")
    return resized(np.ascontiguousarray(picture), height, width, smooth=True)


def _depth(clip: Clip) -> Panel:
    limits = depth_limits(clip.depth[clip.depth_valid])
    unknown = 1.0 - float(clip.depth_valid.double().mean())
    unit = unit_of(clip)

    def draw(index: int, height: int, width: int) -> Picture:
        depth, known = _picked(clip.depth[index].numpy(), height, width), _known(clip, index)
        return colour_depth(depth, _picked(known, height, width) > 0, limits)

    def legend(canvas: Canvas, left: int, top: int) -> None:
        left = colour_legend(canvas, left, top, DEPTH_MAP, limits, unit, falling=True)
        swatch_legend(canvas, left, top, None, f"unknown: {100 * unknown:.1f} %")

    return Panel(f"depth ({unit})", draw, legend)


def _confidence(clip: Clip) -> Panel:
    confidence = clip.depth_confidence
    assert confidence is not None

    def draw(index: int, height: int, width: int) -> Picture:
        values = _picked(confidence[index].float().numpy(), height, width)
        return colour_confidence(values, _picked(_known(clip, index), height, width) > 0)

    def legend(canvas: Canvas, left: int, top: int) -> None:
        left = colour_legend(canvas, left, top, CONFIDENCE_MAP, Limits(0.0, 1.0), "", falling=False)
        swatch_legend(canvas, left, top, None, "unknown")

    return Panel("confidence of depth (0 to 1)", draw, legend)


def _moving(clip: Clip) -> Panel:
    mask = clip.dynamic_mask
    assert mask is not None
    share = float(mask.double().mean())

    def draw(index: int, height: int, width: int) -> Picture:
        moving = _picked(mask[index].numpy().astype(np.uint8), height, width) > 0
        return tinted(_frame(clip, index, height, width), moving, MOVING)

    def legend(canvas: Canvas, left: int, top: int) -> None:
        swatch_legend(canvas, left, top, MOVING, f"moving: {100 * share:.1f} %")

    return Panel("moving things", draw, legend)


def tinted(
    picture: Picture, where: Bool[np.ndarray, "height width"], colour: tuple[int, int, int]
) -> Picture:
    """Return the picture in pale grey, coloured where the mask is true."""
    grey = picture.mean(axis=2, keepdims=True) * 0.6 + 70
    coloured = 0.45 * grey + 0.55 * np.array(colour)
    tinted_picture = np.where(where[..., None], coloured, np.broadcast_to(grey, picture.shape))
    return tinted_picture.round().astype(np.uint8)


def _known(clip: Clip, index: int) -> np.ndarray:
    return clip.depth_valid[index].numpy().astype(np.uint8)


def _picked(values: np.ndarray, height: int, width: int) -> np.ndarray:
    return resized(values, height, width, smooth=False)


def colour_legend(
    canvas: Canvas,
    left: int,
    top: int,
    colour_map: int,
    limits: Limits,
    unit: str,
    *,
    falling: bool,
) -> int:
    """Draw a colour bar between its two values, and return where the legend goes on."""
    low, high = (f"{value:.3g} {unit}".strip() for value in (limits.low, limits.high))
    canvas.text(low, left, top)
    left += text_width(low) + 8
    canvas.bar(colour_map, left, top + 1, BAR_WIDTH, falling=falling)
    left += BAR_WIDTH + 8
    canvas.text(high, left, top)
    return left + text_width(high) + 24


def swatch_legend(
    canvas: Canvas, left: int, top: int, colour: tuple[int, int, int] | None, text: str
) -> None:
    canvas.swatch(left, top + 1, colour)
    canvas.text(text, left + TEXT + 6, top, colour=PALE)
