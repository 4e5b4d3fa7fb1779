"""The kernel that spreads values over the unknown pixels of a picture."""

from __future__ import annotations

import numpy as np

from lyra_model.rendering.cpu_kernels import Floats, Integers, kernel

OVER_RELAXATION = np.float32(1.9)
"""Successive over-relaxation takes steps this many times too long, and so fewer of them."""


@kernel
def diffuse(
    values: Floats,
    to_right: Floats,
    to_below: Floats,
    rows: Integers,
    columns: Integers,
    tolerance: np.float32,
    max_rounds: int,
) -> None:
    """Make every listed pixel the weighted mean of its four neighbours, in rounds over all of them.

    Pixels are updated in place, one after another: the order, and so the result, is fixed. Rounds
    go forwards and backwards by turns.
    """
    height, width = values.shape
    num_pixels = len(rows)
    for turn in range(max_rounds):
        largest_change = np.float32(0.0)
        for item in range(num_pixels):
            pixel = num_pixels - 1 - item if turn % 2 else item
            row, column = rows[pixel], columns[pixel]
            total, weight = np.float32(0.0), np.float32(0.0)
            if column > 0:
                link = to_right[row, column - 1]
                total, weight = total + link * values[row, column - 1], weight + link
            if column < width - 1:
                link = to_right[row, column]
                total, weight = total + link * values[row, column + 1], weight + link
            if row > 0:
                link = to_below[row - 1, column]
                total, weight = total + link * values[row - 1, column], weight + link
            if row < height - 1:
                link = to_below[row, column]
                total, weight = total + link * values[row + 1, column], weight + link
            change = total / weight - values[row, column]
            values[row, column] += OVER_RELAXATION * change
            largest_change = max(largest_change, abs(change))
        if largest_change < tolerance:
            break
