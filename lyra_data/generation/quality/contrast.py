"""Local contrast: what a picture shows, whatever its exposure. Displacements and poses read this.

A pixel's grey value, less the mean around it, over the spread around it: shadows count as much as
lights, and a darker or flatter copy of a picture has the same local contrast.
"""

from __future__ import annotations

import cv2
import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, Int8, UInt8

from lyra_data.generation.quality.photometry import luma

LONGEST_SIDE = 640
"""Pixels. Larger pictures are reduced first; it bounds the cost and the memory."""

WINDOW_SHARE = 0.1
"""Side of the neighbourhood, as a share of the shorter side."""

FLAT = 6.0
"""Grey levels (of 255): a spread below this is noise, and is not stretched."""

UNIT = 40.0
"""Integer steps in one spread. Whole numbers have exact sums, whatever the number of threads."""


def reduction(height: int, width: int) -> int:
    """Return the number of pixels along a side that become one where pictures of this size are
    compared."""
    return -(-max(height, width) // LONGEST_SIDE)


def local_contrast(
    pictures: UInt8[np.ndarray, "frame 3 height width"],
    known: Bool[np.ndarray, "frame height width"] | None = None,
) -> tuple[
    Int8[np.ndarray, "frame low_height low_width"], Bool[np.ndarray, "frame low_height low_width"]
]:
    """Return the local contrast of every picture, and where it is known.

    Args:
        known: True where a picture shows something; None: everywhere. Unknown pixels have part in
            nothing and come out as 0.
    """
    contrasts, masks = [], []
    for index, picture in enumerate(pictures):
        mask = np.ones(picture.shape[1:], bool) if known is None else known[index]
        grey, mask = _reduced(picture, mask)
        contrasts.append(_contrast(grey, mask))
        masks.append(mask)
    return np.stack(contrasts), np.stack(masks)


def contrast_everywhere(
    pictures: UInt8[np.ndarray, "frame 3 height width"],
    known: Bool[np.ndarray, "frame height width"],
) -> Int8[np.ndarray, "frame low_height low_width"]:
    """Return the local contrast of pictures that show something everywhere, to compare with some
    that do not.

    Where `known`, only known pixels have part in it, as in the others: bright sky beyond a roof
    would else change how the roof looks.
    """
    plain, _ = local_contrast(pictures)
    inner, mask = local_contrast(pictures, known)
    return np.where(mask, inner, plain)


def _reduced(
    picture: UInt8[np.ndarray, "3 height width"], mask: Bool[np.ndarray, "height width"]
) -> tuple[Float[np.ndarray, "low_height low_width"], Bool[np.ndarray, "low_height low_width"]]:
    """Return grey values 0..255 at the size of comparison; known where every pixel beneath is."""
    grey = luma(picture)
    factor = reduction(*mask.shape)
    if factor > 1:
        height, width = (side // factor for side in mask.shape)
        grey = grey[: height * factor, : width * factor]
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        blocks = mask[: height * factor, : width * factor]
        mask = reduce(blocks, "(height y) (width x) -> height width", "min", y=factor, x=factor)
    return grey.astype(np.float32), mask


def _contrast(
    grey: Float[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]
) -> Int8[np.ndarray, "height width"]:
    side = 2 * round(WINDOW_SHARE * min(grey.shape) / 2) + 1
    weight = mask.astype(np.float32)

    def around(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)

    share = np.maximum(around(weight), 1e-6)
    grey = grey * weight
    mean = around(grey) / share
    spread = np.sqrt(np.maximum(around(grey * grey) / share - mean * mean, 0.0))
    scaled = UNIT * (grey - mean) / np.maximum(spread, FLAT)
    return np.where(mask, np.clip(np.rint(scaled), -127, 127), 0).astype(np.int8)
