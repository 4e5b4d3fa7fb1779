"""The loop that asks neighbouring frames whether they see a surface where a frame says, compiled.

All is in one file because numba's cache does not notice that a function of another file has
changed.
"""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy")
@no_type_check
def count_agreeing(
    depth, other, turn, shift, back_turn, back_shift, largest_distance, largest_ratio, votes
):
    """Add one to `votes` where a neighbour's depth leads back to the pixel and to its depth.

    Args:
        depth, other: z depth of the frame and of the neighbour, 0 where there is none.
        turn, shift: pixel (x, y, 1) with inverse depth w lies at turn @ (x, y, 1) + w * shift of
            the neighbour, in units of the frame's depth; back_turn, back_shift: the way back.
        largest_distance: from the pixel to where it comes back to, in pixels.
        largest_ratio: relative difference of depth.
        votes: uint8 [height, width].
    """
    height, width = depth.shape
    other_height, other_width = other.shape
    for y in range(height):
        for x in range(width):
            z = depth[y, x]
            if z <= 0:
                continue
            px, py = x + 0.5, y + 0.5
            a = (turn[0, 0] * px + turn[0, 1] * py + turn[0, 2]) * z + shift[0]
            b = (turn[1, 0] * px + turn[1, 1] * py + turn[1, 2]) * z + shift[1]
            c = (turn[2, 0] * px + turn[2, 1] * py + turn[2, 2]) * z + shift[2]
            if c <= 1e-6 * z:
                continue
            column, row = np.floor(a / c), np.floor(b / c)
            if not (column >= 0 and row >= 0 and column < other_width and row < other_height):
                continue
            there = other[int(row), int(column)]
            # The neighbour's pixel is seen at the exact place, with the depth of the pixel around
            if there <= 0 or abs(there - c) > largest_ratio * c:
                continue
            qx, qy = a / c, b / c
            d = (back_turn[0, 0] * qx + back_turn[0, 1] * qy + back_turn[0, 2]) * there
            e = (back_turn[1, 0] * qx + back_turn[1, 1] * qy + back_turn[1, 2]) * there
            f = (back_turn[2, 0] * qx + back_turn[2, 1] * qy + back_turn[2, 2]) * there
            d, e, f = d + back_shift[0], e + back_shift[1], f + back_shift[2]
            if f <= 1e-6 * z:
                continue
            away = (d / f - px) ** 2 + (e / f - py) ** 2
            if away <= largest_distance * largest_distance and abs(f - z) <= largest_ratio * z:
                votes[y, x] += 1
