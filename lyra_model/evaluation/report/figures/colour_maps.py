"""Depth and error as colours: perceptually even maps, and hatching where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from einops import rearrange, reduce
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

DEPTH_MAP = cv2.COLORMAP_VIRIDIS
ERROR_MAP = cv2.COLORMAP_INFERNO

HATCH_LIGHT = (214, 214, 214)
HATCH_DARK = (150, 150, 150)
_HATCHES_PER_ROW = 80  # so that stripes look alike at every picture size

ERROR_AT_FULL_SCALE = 0.25
"""Mean absolute RGB difference (colours 0..1) drawn in the brightest colour, in every error map."""


@dataclass(frozen=True)
class DepthRange:
    """Depths drawn with the first and the last colour, in scene units; one scale for a page."""

    near: float
    far: float


def depth_range(depth: Float[np.ndarray, " known"]) -> DepthRange:
    """The range that holds 98 % of the known depths; a range of its own where none is known."""
    if depth.size == 0:
        return DepthRange(0.0, 1.0)
    near, far = (float(q) for q in np.quantile(depth, [0.01, 0.99]))
    return DepthRange(near, max(far, near + 1e-6))


def draw_depth(
    depth: Float[Tensor, "height width"], known: Bool[Tensor, "height width"], limits: DepthRange
) -> UInt8[np.ndarray, "height width 3"]:
    """Depth in colours, near bright, far dark; hatched where unknown."""
    values = depth.detach().cpu().double().numpy()
    level = (limits.far - values) / (limits.far - limits.near)
    return _hatched(_coloured(level, DEPTH_MAP), ~known.cpu().numpy())


def draw_error(
    image: UInt8[Tensor, "3 height width"],
    truth: UInt8[Tensor, "3 height width"],
    counted: Bool[Tensor, "height width"] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Mean absolute RGB difference in colours, dark where right; hatched where not counted."""
    difference = np.abs(image.cpu().numpy() / 255.0 - truth.cpu().numpy() / 255.0)
    level = reduce(difference, "c h w -> h w", "mean") / ERROR_AT_FULL_SCALE
    picture = _coloured(level, ERROR_MAP)
    return picture if counted is None else _hatched(picture, ~counted.cpu().numpy())


def gradient(colour_map: int, *, backwards: bool, num_stops: int = 12) -> str:
    """A colour map as a CSS linear-gradient from left to right."""
    levels = np.linspace(1, 0, num_stops) if backwards else np.linspace(0, 1, num_stops)
    stops = _coloured(levels[None], colour_map)[0]
    colours = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in stops)
    return f"linear-gradient(90deg, {', '.join(colours)})"


def _coloured(
    level: Float[np.ndarray, "height width"], colour_map: int
) -> UInt8[np.ndarray, "height width 3"]:
    codes = np.rint(np.clip(np.nan_to_num(level), 0.0, 1.0) * 255).astype(np.uint8)
    return cv2.applyColorMap(codes, colour_map)[..., ::-1]


def _hatched(
    picture: UInt8[np.ndarray, "height width 3"], where: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    rows, columns = np.indices(where.shape)
    period = max(4, where.shape[1] // _HATCHES_PER_ROW)
    stripes = (rows + columns) % period < max(1, period // 3)
    hatch = np.where(rearrange(stripes, "h w -> h w 1"), HATCH_DARK, HATCH_LIGHT)
    return np.where(rearrange(where, "h w -> h w 1"), hatch, picture).astype(np.uint8)
