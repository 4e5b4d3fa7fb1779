"""A guess at depth where none is known: gaps take the depth of what lies farther around them."""

from __future__ import annotations

import numpy as np


def background_depth(depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return depth [height width] with every gap closed by the farther of its two ends.

    Stereo and structured light lose a pixel where something nearer hid it from one eye, so the
    farther surface is the likely one. Of the gap's row and column the shorter stretch decides; at
    the picture's border, where one end is missing, the other one does. Needs one known pixel.
    """
    assert known.any()
    across, stretch_across = _farther_end(depth, known)
    along, stretch_along = (part.T for part in _farther_end(depth.T, known.T))
    guess = np.where(stretch_across <= stretch_along, across, along)
    nothing_in_line = guess == 0
    guess = np.where(nothing_in_line, np.median(depth[known]), guess)
    return np.where(known, depth, guess).astype(np.float32)


def _farther_end(depth: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per pixel the larger depth of the known neighbours left and right (0 where there is
    none), and the length of the gap."""
    width = depth.shape[1]
    column = np.arange(width)[None]
    left = np.maximum.accumulate(np.where(known, column, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, column, width)[:, ::-1], axis=1)[:, ::-1]
    has_left, has_right = left >= 0, right < width
    left_depth = np.take_along_axis(depth, np.maximum(left, 0), axis=1) * has_left
    right_depth = np.take_along_axis(depth, np.minimum(right, width - 1), axis=1) * has_right
    to_left = np.where(has_left, column - left, depth.size)
    to_right = np.where(has_right, right - column, depth.size)
    one_end = has_left ^ has_right
    stretch = np.where(one_end, 2 * np.minimum(to_left, to_right), to_left + to_right)
    return np.maximum(left_depth, right_depth), stretch
