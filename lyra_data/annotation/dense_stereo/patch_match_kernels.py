"""The loops of PatchMatch stereo, compiled: one plane a pixel, found by trying its neighbours'.

A plane in space is linear in inverse depth across the picture, so a hypothesis is three numbers:
inverse depth at the pixel, and by how much it grows per pixel to the right and down. A window of
5 x 5 samples is carried by that plane into every neighbouring frame and compared there by zero-mean
normalised correlation. Pixels are visited in order, forwards and backwards in turn, so a good plane
spreads over its surface in one pass. All is in one file because numba's cache does not notice that
a function of another file has changed.
"""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np

REACH = 2
"""Samples to each side of a window's centre."""

NUM_SAMPLES = (2 * REACH + 1) ** 2

WORST = np.float32(1.0)
"""Cost (1 - correlation) of a window that is flat, or not seen. Larger costs are cut to it."""

LEAST_CONTRAST = np.float32(1.5)
"""Standard deviation in grey levels below which a window tells nothing."""

EDGE = np.float32(0.01)
"""Pixels that a window stays away from a picture's last row and column. Its samples are added up in
another order than its reach, and rounding would take one in a hundred thousand beyond them: outside
the array, where memory may end."""

INVERSE_DEPTH, GROWTH_X, GROWTH_Y = range(3)
"""Rows of `planes`."""

NEAREST, FARTHEST = range(2)
"""Entries of `limits`: largest and smallest inverse depth."""

STEEPEST = np.float32(0.08)
"""Largest relative growth of inverse depth per pixel."""


@numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy")
@no_type_check
def improve_planes(
    grey, others, turns, shifts, num_best, stride, limits, planes, cost, sweep, num_draws, spread
):
    """Pass over a frame once; improve `planes` and `cost` in place.

    Args:
        grey: float32 [height, width]; others: float32 [neighbour, height, width].
        turns, shifts: float32 [neighbour, 3, 3] and [neighbour, 3]: pixel (x, y, 1) of the frame
            with inverse depth w lies at turn @ (x, y, 1) + w * shift of the neighbour.
        num_best: neighbours whose costs are averaged: the best ones, so that others may be hidden.
        stride: pixels between samples.
        limits: float32 [2].
        planes: float32 [3, height, width]; cost: float32 [height, width].
        sweep: number of the pass: odd ones go backwards; -1 only measures the cost.
        num_draws: random changes that are tried.
        spread: their size, relative to the inverse depth.
    """
    height, width = grey.shape
    window = np.empty(NUM_SAMPLES, np.float32)
    costs = np.empty(len(others), np.float32)
    backwards = sweep >= 0 and sweep % 2 == 1
    step = -1 if backwards else 1
    for order in range(height * width):
        pixel = height * width - 1 - order if backwards else order
        y, x = pixel // width, pixel % width
        if not _take_window(grey, y, x, stride, window):
            cost[y, x] = WORST
            continue
        w, wx, wy = planes[0, y, x], planes[1, y, x], planes[2, y, x]
        if sweep < 0:
            cost[y, x] = _cost(
                others, turns, shifts, num_best, stride, x, y, w, wx, wy, window, costs
            )
            continue
        best = cost[y, x]
        for side in range(2):
            from_x = x - step if side == 0 else x
            from_y = y if side == 0 else y - step
            if from_x < 0 or from_x >= width or from_y < 0 or from_y >= height:
                continue
            tx, ty = planes[1, from_y, from_x], planes[2, from_y, from_x]
            t = (
                planes[0, from_y, from_x]
                + tx * np.float32(x - from_x)
                + ty * np.float32(y - from_y)
            )
            if t < limits[FARTHEST] or t > limits[NEAREST]:
                continue
            tried = _cost(others, turns, shifts, num_best, stride, x, y, t, tx, ty, window, costs)
            if tried < best:
                best, w, wx, wy = tried, t, tx, ty
        size = spread
        state = np.uint32(pixel * 9781 + (sweep + 1) * 6271 + 1)
        for _ in range(num_draws):
            state, first = _draw(state)
            state, second = _draw(state)
            state, third = _draw(state)
            t = w * (np.float32(1.0) + size * first)
            t = min(max(t, limits[FARTHEST]), limits[NEAREST])
            slope = size * np.float32(0.1) * t
            steepest = STEEPEST * t
            tx = min(max(wx + slope * second, -steepest), steepest)
            ty = min(max(wy + slope * third, -steepest), steepest)
            tried = _cost(others, turns, shifts, num_best, stride, x, y, t, tx, ty, window, costs)
            if tried < best:
                best, w, wx, wy = tried, t, tx, ty
            size *= np.float32(0.3)
        planes[0, y, x], planes[1, y, x], planes[2, y, x] = w, wx, wy
        cost[y, x] = best


@numba.njit(inline="always", error_model="numpy")
@no_type_check
def _draw(state):
    """Return the next state of a linear congruential generator, and a number from -1 to 1."""
    state = np.uint32(state * np.uint32(1664525) + np.uint32(1013904223))
    return state, np.float32(np.float32(state >> np.uint32(8)) * (2.0 / 16777216.0) - 1.0)


@numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy")
@no_type_check
def _take_window(grey, y, x, stride, window):
    """Fill `window` with samples of mean 0 and length 1; False where it is flat."""
    height, width = grey.shape
    total = np.float32(0.0)
    index = 0
    for i in range(-REACH, REACH + 1):
        row = min(max(y + i * stride, 0), height - 1)
        for j in range(-REACH, REACH + 1):
            value = grey[row, min(max(x + j * stride, 0), width - 1)]
            window[index] = value
            total += value
            index += 1
    mean = total / np.float32(NUM_SAMPLES)
    square = np.float32(0.0)
    for index in range(NUM_SAMPLES):
        window[index] -= mean
        square += window[index] * window[index]
    if square < LEAST_CONTRAST * LEAST_CONTRAST * np.float32(NUM_SAMPLES):
        return False
    scale = np.float32(1.0) / np.sqrt(square)
    for index in range(NUM_SAMPLES):
        window[index] *= scale
    return True


@numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy")
@no_type_check
def _cost(others, turns, shifts, num_best, stride, x, y, w, wx, wy, window, costs):
    """Return the mean of the `num_best` lowest costs among the neighbours of one plane."""
    for other in range(len(others)):
        costs[other] = _cost_in(
            others[other], turns[other], shifts[other], stride, x, y, w, wx, wy, window
        )
    total = np.float32(0.0)
    for taken in range(num_best):  # a selection sort of the first few
        for later in range(taken + 1, len(costs)):
            if costs[later] < costs[taken]:
                costs[taken], costs[later] = costs[later], costs[taken]
        total += costs[taken]
    return total / np.float32(num_best)


@numba.njit(nogil=True, cache=True, fastmath=False, error_model="numpy")
@no_type_check
def _cost_in(other, turn, shift, stride, x, y, w, wx, wy, window):
    height, width = other.shape
    half = np.float32(0.5)
    centre_x, centre_y = np.float32(x) + half, np.float32(y) + half
    # Where the window's centre lies, homogeneous, and by how much that changes per pixel
    a = turn[0, 0] * centre_x + turn[0, 1] * centre_y + turn[0, 2] + w * shift[0]
    b = turn[1, 0] * centre_x + turn[1, 1] * centre_y + turn[1, 2] + w * shift[1]
    c = turn[2, 0] * centre_x + turn[2, 1] * centre_y + turn[2, 2] + w * shift[2]
    if c <= np.float32(1e-6):
        return WORST
    per_c = np.float32(stride) / c
    column, row = a / c, b / c
    c_x, c_y = turn[2, 0] + wx * shift[2], turn[2, 1] + wy * shift[2]
    # Across so small a window the perspective is as good as affine: no division a sample
    column_x = (turn[0, 0] + wx * shift[0] - column * c_x) * per_c
    column_y = (turn[0, 1] + wy * shift[0] - column * c_y) * per_c
    row_x = (turn[1, 0] + wx * shift[1] - row * c_x) * per_c
    row_y = (turn[1, 1] + wy * shift[1] - row * c_y) * per_c
    column, row = column - half, row - half
    reach_column = np.float32(REACH) * (abs(column_x) + abs(column_y))
    reach_row = np.float32(REACH) * (abs(row_x) + abs(row_y))
    if not (
        column - reach_column >= 0
        and row - reach_row >= 0
        and column + reach_column < np.float32(width - 1) - EDGE
        and row + reach_row < np.float32(height - 1) - EDGE
    ):
        return WORST
    total, square, product = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    index = 0
    for i in range(-REACH, REACH + 1):
        from_column = column + np.float32(i) * column_y
        from_row = row + np.float32(i) * row_y
        for j in range(-REACH, REACH + 1):
            u = from_column + np.float32(j) * column_x
            v = from_row + np.float32(j) * row_x
            left, top = np.uint64(np.int32(u)), np.uint64(np.int32(v))
            fx, fy = u - np.float32(np.int32(u)), v - np.float32(np.int32(v))
            right, below = left + np.uint64(1), top + np.uint64(1)
            upper = other[top, left] + fx * (other[top, right] - other[top, left])
            lower = other[below, left] + fx * (other[below, right] - other[below, left])
            value = upper + fy * (lower - upper)
            total += value
            square += value * value
            product += value * window[index]
            index += 1
    spread = square - total * total / np.float32(NUM_SAMPLES)
    if spread < LEAST_CONTRAST * LEAST_CONTRAST * np.float32(NUM_SAMPLES):
        return WORST
    return min(WORST, np.float32(1.0) - product / np.sqrt(spread))
