"""Is a frame more like its neighbour once the neighbour is moved by depth and poses?"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float

from lyra_data.clips.checks.parts import ClipParts
from lyra_data.clips.checks.readings import Reading

MAX_SAMPLES = 20000
"""Pixels of a frame that are looked at."""

MIN_SAMPLES = 200
MIN_DIFFERENCE = 4.0
"""Grey levels of 255 between the frames as they are; below it moving has nothing to mend."""


def likeness(parts: ClipParts, first: int, second: int, reading: Reading) -> float | None:
    """Median difference of grey values to a neighbour moved, over that to the neighbour unmoved.

    Below 1: moving it made it more like. A change of exposure is taken out of both.

    Returns:
        None: too little is known in both, or the frames hardly differ.
    """
    positions, depth = _samples(parts, first)
    if len(depth) < MIN_SAMPLES:
        return None
    places, _ = reading.carried(first, second, positions, depth)
    inside = ((places >= 0.5) & (places <= np.array([parts.width, parts.height]) - 0.5)).all(axis=1)
    if inside.sum() < MIN_SAMPLES:
        return float("inf") if inside.mean() < 0.05 else None
    here, there = (_smooth(parts, index) for index in (first, second))
    expected = _sampled(here, positions[inside])
    moved = _difference(_sampled(there, places[inside]), expected)
    unmoved = _difference(_sampled(there, positions[inside]), expected)
    return moved / unmoved if unmoved >= MIN_DIFFERENCE else None


def _samples(
    parts: ClipParts, index: int
) -> tuple[Float[np.ndarray, "point 2"], Float[np.ndarray, " point"]]:
    counted = parts.depth_valid[index]
    if parts.dynamic_mask is not None:
        counted = counted & ~parts.dynamic_mask[index]
    pixels = torch.nonzero(counted).numpy()
    pixels = pixels[:: -(-len(pixels) // MAX_SAMPLES) or 1]
    depth = parts.depth[index].double().numpy()[tuple(pixels.T)]
    return pixels[:, ::-1] + 0.5, depth


def _smooth(parts: ClipParts, index: int) -> Float[np.ndarray, "height width"]:
    grey = parts.frames[index].float().mean(dim=0).numpy()
    return cv2.GaussianBlur(grey, (0, 0), 1.0)


def _sampled(
    picture: Float[np.ndarray, "height width"], positions: Float[np.ndarray, "point 2"]
) -> Float[np.ndarray, " point"]:
    columns, rows = (positions - 0.5).astype(np.float32).T
    return cv2.remap(
        picture, columns[:, None], rows[:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )[:, 0]


def _difference(one: Float[np.ndarray, " point"], other: Float[np.ndarray, " point"]) -> float:
    difference = one.astype(np.float64) - other
    return float(np.median(np.abs(difference - np.median(difference))))
