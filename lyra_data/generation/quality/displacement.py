"""Displacement: the distance of one picture's points from where another picture has them, in
pixels."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Int8

MAX_POINTS = 100
MIN_POINTS = 8
WINDOW = 11
"""Side of the neighbourhood that a point is found by, in pixels."""

LEVELS = 3
"""Halvings of the picture: a point is found up to about WINDOW / 2 * 2**LEVELS pixels away."""

MAX_RETURN_ERROR = 1.0
"""Pixels. A point counts as found if following it back leads this near to where it started."""


def median_displacement(
    expected: Int8[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
    actual: Int8[np.ndarray, "height width"],
) -> float | None:
    """Return the median distance in pixels of the corners of `expected` from where `actual` has
    them.

    Corners are followed by pyramidal Lucas-Kanade (Bouguet 2001), there and back again. Those that
    are not found again count as farther than all others; if they are the majority, the pictures do
    not show the same, and the answer is the length of the diagonal.

    Args:
        expected: local contrast where `known`, from `contrast.local_contrast`; so is `actual`.

    Returns:
        None: too few corners are known.
    """
    picture = _as_bytes(np.where(known, expected, actual))  # no edge where knowledge ends
    other = _as_bytes(actual)
    inner = cv2.erode(
        known.astype(np.uint8), np.ones((WINDOW // 2, WINDOW // 2), np.uint8), borderValue=0
    )
    corners = cv2.goodFeaturesToTrack(
        picture, MAX_POINTS, qualityLevel=0.05, minDistance=4, mask=inner, blockSize=5
    )
    if corners is None or len(corners) < MIN_POINTS:
        return None
    there, was_tracked = _follow(picture, other, corners)
    back, was_tracked_back = _follow(other, picture, there)
    returned = np.linalg.norm(back - corners, axis=-1)[:, 0] <= MAX_RETURN_ERROR
    is_tracked = was_tracked & was_tracked_back & returned
    diagonal = float(np.hypot(*known.shape))
    distance = np.linalg.norm((there - corners).astype(np.float64), axis=-1)[:, 0]
    return min(float(np.median(np.where(is_tracked, distance, diagonal))), diagonal)


def _follow(
    picture: np.ndarray, other: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    followed, status, _ = cv2.calcOpticalFlowPyrLK(
        picture, other, points, np.empty_like(points), winSize=(WINDOW, WINDOW), maxLevel=LEVELS
    )
    return followed, status[:, 0] == 1


def _as_bytes(contrast: Int8[np.ndarray, "height width"]) -> np.ndarray:
    return (contrast.astype(np.int16) + 128).astype(np.uint8)
