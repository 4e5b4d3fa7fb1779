"""ViewQuality: what was measured of one view. A number is one entry here; its column, its limit in
params and its place in the report derive from it.

How each is measured: `lyra_data/generation/quality`. How to read each: docs/quality.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

ROUNDING = 1.0 / 12.0
"""Mean squared error of rounding to bytes: equal pictures agree so far, not without end."""

MAX_PSNR_DB = round(10.0 * math.log10(255.0**2 / ROUNDING), 2)
"""PSNR of equal pictures, 58.92."""


def _number(group: str, title: str, unit: str, meaning: str) -> Any:
    """Declare a number: its headings, its unit ("" if it has none), and what it is, with its
    range."""
    return field(metadata={"group": group, "title": title, "unit": unit, "meaning": meaning})


@dataclass(frozen=True)
class ViewQuality:
    """Numbers of one view; None where one could not be measured.

    Those named after the cache compare frames with what the cache shows in their cameras, where
    that is known; those named after siblings, with other views of the scene.
    """

    cache_psnr_db: float | None = _number(
        "Cache",
        "PSNR",
        "dB",
        f"frames against the cache's picture where that is known, dB, 0..{MAX_PSNR_DB} (equal "
        "bytes)",
    )
    cache_displacement_pixels: float | None = _number(
        "Cache",
        "displaced",
        "px",
        "median distance of corners from where the cache shows them, in the worst frame looked "
        "at, pixels; the diagonal where most are not found",
    )
    pose_error_frames: float | None = _number(
        "Cache",
        "pose error",
        "frames",
        "mean distance between a frame's place in the video and the place on the path that its "
        "picture fits, frames; num_frames where it fits none",
    )
    sibling_psnr_db: float | None = _number(
        "Siblings",
        "PSNR",
        "dB",
        "as cache_psnr_db, against another view's frames moved by their depth; median over the "
        "other views, the better of two middle ones; null with fewer than two",
    )
    sibling_displacement_pixels: float | None = _number(
        "Siblings",
        "displaced",
        "px",
        "as cache_displacement_pixels, against another view's frames moved by their depth; "
        "median over the other views, as sibling_psnr_db's",
    )
    sharpness_ratio: float | None = _number(
        "Picture",
        "sharpness",
        "",
        "rms Laplacian of the frames over that of the cache's picture, where known; 1 is as sharp",
    )
    filled_sharpness_ratio: float | None = _number(
        "Picture",
        "of filled",
        "",
        "rms Laplacian of what the teacher invented over that of the rest of the same frames",
    )
    luminance_drift: float | None = _number(
        "Picture",
        "drift",
        "",
        "mean luma of a frame less that of the cache's picture, where known, in the frame where "
        "it is farthest from 0; -1..1",
    )
    clipped_excess: float | None = _number(
        "Picture",
        "clipped",
        "",
        "share of the frames' pixels with a channel at 0 or 255, less that share of the cache's "
        "picture, where known; -1..1",
    )

    @staticmethod
    def unmeasured() -> ViewQuality:
        return ViewQuality(**dict.fromkeys(NUMBERS))


@dataclass(frozen=True)
class Number:
    """The name and meaning of one number of ViewQuality."""

    name: str
    group: str
    title: str
    unit: str
    meaning: str


NUMBERS: Mapping[str, Number] = {
    item.name: Number(item.name, **item.metadata) for item in fields(ViewQuality)
}
