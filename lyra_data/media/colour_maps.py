"""Numbers as colours: depth and confidence, and hatching where nothing is known.

Depth has viridis, confidence cividis: both perceptually even and fit for colour-blind readers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

DEPTH_MAP = cv2.COLORMAP_VIRIDIS
CONFIDENCE_MAP = cv2.COLORMAP_CIVIDIS

HATCH_LIGHT, HATCH_DARK = (222, 222, 222), (150, 150, 150)
HATCH_PERIOD = 8
"""Pixels of the picture that is shown, across both stripes."""

Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Limits:
    """Values of the first and the last colour; beyond them colours stay as they are."""

    low: float
    high: float


def depth_limits(
    depth: Float[Tensor, "frame height width"], known: Bool[Tensor, "frame height width"]
) -> Limits:
    """The range of 98 % of the known depth of all frames; 0 to 1 where none is known."""
    values = depth[known].double().numpy()
    if not len(values):
        return Limits(0.0, 1.0)
    low, high = (float(value) for value in np.quantile(values, [0.01, 0.99]))
    return Limits(low, max(high, low + 1e-6))


def coloured_depth(
    depth: Float[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
    limits: Limits,
) -> Picture:
    """Near bright, far dark, hatched where unknown."""
    return hatched(coloured(1.0 - _level(depth, limits), DEPTH_MAP), ~known)


def coloured_confidence(
    confidence: Float[np.ndarray, "height width"], known: Bool[np.ndarray, "height width"]
) -> Picture:
    """0 dark, 1 bright, hatched where depth is unknown."""
    return hatched(coloured(_level(confidence, Limits(0.0, 1.0)), CONFIDENCE_MAP), ~known)


def coloured(level: Float[np.ndarray, "height width"], colour_map: int) -> Picture:
    """Levels 0..1 in a colour map's colours, RGB."""
    codes = np.rint(255.0 * np.clip(level, 0.0, 1.0)).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(codes, colour_map)[..., ::-1])


def hatched(picture: Picture, unknown: Bool[np.ndarray, "height width"]) -> Picture:
    """The picture with grey diagonal stripes where nothing is known."""
    row, column = np.indices(unknown.shape)
    dark = np.less((row + column) % HATCH_PERIOD, HATCH_PERIOD / 2)
    stripes = np.where(dark[..., None], *(np.array(c, np.uint8) for c in (HATCH_DARK, HATCH_LIGHT)))
    return np.where(unknown[..., None], stripes, picture)


def _level(values: Float[np.ndarray, "height width"], limits: Limits) -> np.ndarray:
    return (values.astype(np.float64) - limits.low) / (limits.high - limits.low)
