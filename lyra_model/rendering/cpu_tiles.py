"""Tiles of 16x16 pixels, and the kernel that sorts splats into them."""

from __future__ import annotations

import math

import numpy as np

from lyra_model.rendering.cpu_kernels import Bounds, Integers, Keys, kernel, part_of_kernel

TILE = 16
DIGIT_BITS, DIGITS = 11, 2048

LEFT, RIGHT, TOP, BOTTOM = range(4)
"""Bounds of a splat, in whole pixels of the image: columns [left, right), rows [top, bottom)."""


@part_of_kernel
def covered(centre: float, radius: float, size: float) -> tuple[int, int]:
    """The pixels [first, last) of a line of `size` whose centres lie within radius of centre."""
    first, last = math.ceil(centre - radius - 0.5), math.floor(centre + radius - 0.5) + 1.0
    return int(min(max(first, 0.0), size)), int(min(max(last, 0.0), size))


@kernel
def nearest_first(keys: Keys, culled: np.uint32) -> Integers:
    """Indices of the Gaussians whose key is not `culled`, by key, then by index: a radix sort."""
    num_seen = 0
    for key in keys:
        num_seen += key != culled
    order, other = np.empty(num_seen, np.int32), np.empty(num_seen, np.int32)
    place = 0
    for item in range(len(keys)):
        if keys[item] != culled:
            order[place] = item
            place += 1
    for shift in range(0, 32, DIGIT_BITS):
        places = np.zeros(DIGITS + 1, np.int64)
        for item in order:
            places[(keys[item] >> shift) % DIGITS + 1] += 1
        accumulate(places)
        for item in order:
            digit = (keys[item] >> shift) % DIGITS
            other[places[digit]] = item
            places[digit] += 1
        order, other = other, order
    return order


@part_of_kernel
def accumulate(counts: Integers) -> None:
    """Running sums, in place."""
    for place in range(1, len(counts)):
        counts[place] += counts[place - 1]


@kernel
def sort_into_tiles(
    order: Integers, bounds: Bounds, width: int, height: int
) -> tuple[Integers, Integers, Integers, Integers]:
    """A counting sort: nearest first within a tile, as `order` tells.

    Args:
        order: indices of the seen Gaussians, nearest first.
        bounds: of every Gaussian; empty where it is not seen.

    Returns:
        starts: where a tile's entries begin (one more than there are tiles).
        entries: the Gaussians of all tiles.
        spans: where a Gaussian's places begin (one more than there are Gaussians).
        places: the positions in `entries` of every Gaussian.
    """
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    starts = np.zeros(rows * columns + 1, np.int64)
    spans = np.zeros(len(bounds) + 1, np.int64)
    for item in range(len(bounds)):
        first_row, last_row, first_column, last_column = tiles_of(bounds, item)
        for row in range(first_row, last_row):
            for column in range(first_column, last_column):
                starts[row * columns + column + 1] += 1
        spans[item + 1] = spans[item] + (last_row - first_row) * (last_column - first_column)
    accumulate(starts)
    free = starts.copy()
    entries = np.empty(starts[-1], np.int32)
    places = np.empty(starts[-1], np.int32)
    for item in order:
        place = spans[item]
        first_row, last_row, first_column, last_column = tiles_of(bounds, item)
        for row in range(first_row, last_row):
            for column in range(first_column, last_column):
                tile = row * columns + column
                entries[free[tile]] = item
                places[place] = free[tile]
                free[tile] += 1
                place += 1
    return starts, entries, spans, places


@part_of_kernel
def tiles_of(bounds: Bounds, item: int) -> tuple[int, int, int, int]:
    """The rows and columns of tiles that a splat touches: [first, last) of both."""
    return (
        bounds[item, TOP] // TILE,
        (bounds[item, BOTTOM] + TILE - 1) // TILE,
        bounds[item, LEFT] // TILE,
        (bounds[item, RIGHT] + TILE - 1) // TILE,
    )
