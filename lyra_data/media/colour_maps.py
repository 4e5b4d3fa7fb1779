"""Numbers as colours: depth, confidence and error, and hatching where nothing is known.

Depth has viridis, confidence cividis, error inferno: all perceptually even and fit for
colour-blind readers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

DEPTH_MAP = cv2.COLORMAP_VIRIDIS
CONFIDENCE_MAP = cv2.COLORMAP_CIVIDIS
ERROR_MAP = cv2.COLORMAP_INFERNO

ERROR_AT_FULL_SCALE = 0.25
"""Mean absolute RGB difference (colours 0..1) that has the brightest colour, in every error map."""

HATCH_LIGHT, HATCH_DARK = (222, 222, 222), (150, 150, 150)
HATCH_PERIOD = 8
"""Pixels along a row, across both stripes, of a picture that is shown at its own size."""

Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Limits:
    """Values of the first and the last colour; beyond them colours stay as they are."""

    low: float
    high: float


def depth_limits(known_depth: Float[Tensor, " pixel"]) -> Limits:
    """Return the range of 98 % of the depths; 0 to 1 where there are none."""
    if not len(known_depth):
        return Limits(0.0, 1.0)
    values = known_depth.cpu().double().numpy()
    low, high = (float(value) for value in np.quantile(values, [0.01, 0.99]))
    return Limits(low, max(high, low + 1e-6))


def colour_depth(
    depth: Float[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
    limits: Limits,
    *,
    hatch_period: int = HATCH_PERIOD,
) -> Picture:
    """Return depth in colours, near bright, far dark, hatched where unknown."""
    return hatch(colour_levels(1.0 - _level(depth, limits), DEPTH_MAP), ~known, hatch_period)


def colour_confidence(
    confidence: Float[np.ndarray, "height width"], known: Bool[np.ndarray, "height width"]
) -> Picture:
    """Return confidence in colours, 0 dark, 1 bright, hatched where depth is unknown."""
    level = _level(confidence, Limits(0.0, 1.0))
    return hatch(colour_levels(level, CONFIDENCE_MAP), ~known)


def colour_error(
    image: UInt8[np.ndarray, "3 height width"],
    truth: UInt8[np.ndarray, "3 height width"],
    counted: Bool[np.ndarray, "height width"] | None = None,
    *,
    hatch_period: int = HATCH_PERIOD,
) -> Picture:
    """Return the mean absolute RGB difference in colours, dark where equal.

    Args:
        counted: pixels that are judged, the others are hatched; None: all of them.
    """
    difference = np.abs(image / 255.0 - truth / 255.0)
    level = reduce(difference, "c h w -> h w", "mean") / ERROR_AT_FULL_SCALE
    picture = colour_levels(level, ERROR_MAP)
    return picture if counted is None else hatch(picture, ~counted, hatch_period)


def colour_levels(level: Float[np.ndarray, "height width"], colour_map: int) -> Picture:
    """Return levels 0..1 in a colour map's colours, RGB; NaN has the first one."""
    codes = np.rint(255.0 * np.clip(np.nan_to_num(level), 0.0, 1.0)).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(codes, colour_map)[..., ::-1])


def hatch(
    picture: Picture, unknown: Bool[np.ndarray, "height width"], period: int = HATCH_PERIOD
) -> Picture:
    """Return the picture with grey diagonal stripes where nothing is known."""
    row, column = np.indices(unknown.shape)
    dark = np.less((row + column) % period, period / 2)
    stripes = np.where(dark[..., None], *(np.array(c, np.uint8) for c in (HATCH_DARK, HATCH_LIGHT)))
    return np.where(unknown[..., None], stripes, picture)


def _level(values: Float[np.ndarray, "height width"], limits: Limits) -> np.ndarray:
    return (values.astype(np.float64) - limits.low) / (limits.high - limits.low)
