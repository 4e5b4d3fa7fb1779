"""Pixel for pixel: agreement, sharpness and exposure of frames against the cache's pictures.

Sums are of whole numbers, and so are exact in any order.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8

from lyra_data.scene.quality import ROUNDING

MIN_PIXELS = 64
"""Fewer pixels tell nothing."""

SQUARES = np.arange(256, dtype=np.int64) ** 2

Pictures = UInt8[np.ndarray, "sample 3 height width"]
Masks = Bool[np.ndarray, "sample height width"]


def psnr_db(actual: Pictures, expected: Pictures, counted: Masks) -> float | None:
    """Return the PSNR over the counted pixels of all pictures together, dB; None: too few are
    counted."""
    num_pixels = int(counted.sum())
    if num_pixels < MIN_PIXELS:
        return None
    squared = 0
    for one, other, mask in zip(actual, expected, counted, strict=True):
        difference = cv2.absdiff(one, other)[:, mask]
        squared += int(np.bincount(difference.ravel(), minlength=256) @ SQUARES)
    return 10.0 * math.log10(255.0**2 / (squared / (3 * num_pixels) + ROUNDING))


def luminance_drift(actual: Pictures, expected: Pictures, counted: Masks) -> float | None:
    """Return the mean luma less the expected one, -1..1, of the frame that drifts farthest."""
    drifts = []
    for one, other, mask in zip(actual, expected, counted, strict=True):
        if mask.sum() >= MIN_PIXELS:
            difference = luma(one).astype(np.int32) - luma(other)
            drifts.append(int(difference[mask].sum()) / (255 * int(mask.sum())))
    return max(drifts, key=abs, default=None)


def clipped_excess(actual: Pictures, expected: Pictures, counted: Masks) -> float | None:
    """Return the share of the counted pixels with a channel at its end, less that of the expected
    ones.

    Where nothing is known nothing counts: sky, which has no depth, may be white in the photo too.
    """
    num_pixels = int(counted.sum())
    if num_pixels < MIN_PIXELS:
        return None
    clipped, base = (int(_clipped(part)[counted].sum()) for part in (actual, expected))
    return (clipped - base) / num_pixels


def sharpness_ratio(actual: Pictures, expected: Pictures, counted: Masks) -> float | None:
    """Return the rms Laplacian of `actual` over that of `expected`, on the same pixels."""
    inside = _inner(counted)
    energy, base = _laplacian_energy(actual, inside), _laplacian_energy(expected, inside)
    return None if energy is None or not base else math.sqrt(energy / base)


def filled_sharpness_ratio(actual: Pictures, filled: Masks) -> float | None:
    """Return the rms Laplacian of the filled pixels over that of the others, in the same
    pictures."""
    energy, base = (_laplacian_energy(actual, _inner(mask)) for mask in (filled, ~filled))
    return None if energy is None or not base else math.sqrt(energy / base)


def luma(picture: UInt8[np.ndarray, "3 height width"]) -> UInt8[np.ndarray, "height width"]:
    """Return the luma of BT.601, 0..255."""
    return cv2.cvtColor(cv2.merge(list(picture)), cv2.COLOR_RGB2GRAY)


def _clipped(pictures: Pictures) -> Masks:
    return ((pictures == 0) | (pictures == 255)).any(axis=1)


def _inner(masks: Masks) -> Masks:
    """Return the pixels all of whose neighbours are in the mask too, on which a Laplacian is
    defined."""
    window = np.ones((3, 3), np.uint8)
    return np.stack([cv2.erode(mask.astype(np.uint8), window, borderValue=0) for mask in masks]) > 0


def _laplacian_energy(pictures: Pictures, counted: Masks) -> float | None:
    num_pixels = int(counted.sum())
    if num_pixels < MIN_PIXELS:
        return None
    total = 0
    for picture, mask in zip(pictures, counted, strict=True):
        detail: Int[np.ndarray, "height width"] = cv2.Laplacian(luma(picture), cv2.CV_16S)
        total += int((detail[mask].astype(np.int64) ** 2).sum())
    return total / num_pixels
