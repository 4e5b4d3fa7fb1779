"""The loops behind `lyra_data.cache3d.splat`, compiled.

The source's rows are dealt with one after the other. Each is projected again for the second pass,
which costs less than writing a whole image to memory and reading it back. `_land` and `_tents`
have no branches, so that they compile to vector instructions. Positions are computed in float64
and kept in float32, which is exact in images of up to 4096 pixels. All is in one file because
numba's cache does not notice that a function of another file has changed.
"""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np

ONE = np.float32(1.0)
"""Constants are float32 too, or numba would compute everything in float64."""

SUBPIXEL = np.float32(4096.0)
"""Positions are rounded to 1/4096 pixel, so that rounding errors of an unchanged camera vanish."""

SAME_SURFACE = np.float32(0.03)
"""Relative difference of depth within which two pixels belong to one surface."""

LARGEST_STRETCH = np.float32(4.0)
"""Surfaces seen so obliquely that they stretch further are left with holes."""

NOT_FOUND = np.float32(-1.0)

FARTHEST_OUTSIDE = 1e6
"""Positions further from the picture's corner than this, in pixels, are not splatted."""

X, Y, Z, PER_Z, DEPTH = range(5)
"""Landing rows: target column, row, z and 1 / z; depth in the source. Z and DEPTH are 0 on pixels
that must not be splatted, the others meaningless there."""

FIRST_COLUMN, END_COLUMN, FIRST_ROW, END_ROW = range(4)
"""Rows of `spans`: the target pixels inside a tent; they may lie outside the picture."""

LEFT, RIGHT, ABOVE, BELOW = range(4)
"""Rows of `weights`: of a tent's first and second column, first and second row. They are all there
is to the usual tent, which holds two by two pixels."""

LEAST_COVERAGE = np.float32(1.0 / 16.0)
"""Tent weight from which a source pixel covers a target pixel: 3/4 of a pixel along one axis."""

HOLE = np.float32(-1.0)

NOTHING = np.float32(1e30)
"""Front depth where no pixel covers: finite, so that nothing counts as near it."""

NEARER, WEIGHT = 3, 4
"""Columns of the sums per target pixel, after red, green and blue. NEARER is inverse depth: by how
much it exceeds that of the front, times the front's depth. So no digits are lost, and equal depths
average to themselves exactly."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def splat_frame(
    source_frame,
    source_depth,
    visible,
    occluding,
    projection,
    across,
    down,
    focal_ratio,
    front,
    sums,
    frame,
    known,
    depth,
):
    """Splat one frame: write into the last three arguments, and work in the two before.

    Args:
        source_frame, source_depth, visible, occluding: see SplatSource.
        projection: float64 [3, 4], maps (x, y, 1) * depth and 1 of the source's camera to
            (column, row, 1) * z of the target.
        across, down: float64, x / z of every source column, y / z of every source row.
        focal_ratio: [2], focal lengths of the target by those of the source.
        front: [height, width] of the target, sums: [height, width, 5].
        frame, known, depth: see `splat`.
    """
    height, width = source_depth.shape
    landing = np.zeros((3, 5, width + 2), np.float32)
    spans = np.empty((4, width + 2), np.int32)
    slopes = np.empty((2, width + 2), np.float32)
    weights = np.empty((4, width + 2), np.float32)
    front[:] = NOTHING
    sums[:] = np.float32(0.0)
    for averaging in (False, True):
        _land(-1, source_depth, occluding, projection, across, down, landing)
        _land(0, source_depth, occluding, projection, across, down, landing)
        for row in range(height):
            _land(row + 1, source_depth, occluding, projection, across, down, landing)
            _reach(row, landing, focal_ratio, spans, slopes, weights)
            if averaging:
                _average(
                    landing[row % 3],
                    spans,
                    slopes,
                    weights,
                    source_frame[:, row],
                    visible[row],
                    front,
                    sums,
                )
            else:
                _cover(landing[row % 3], spans, slopes, weights, front)
    _resolve(front, sums, frame, known, depth)


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _land(row, source_depth, occluding, projection, across, down, landing):
    """Project source row `row` into slot row % 3 of `landing`; a row outside lands nowhere.

    Args:
        landing: [3, 5, width + 2]; one pixel of margin on either side stays 0.
    """
    slot = landing[row % 3]  # named row by row: unpacked, the rows count as strided
    x, y, z, per_z, depth = slot[X], slot[Y], slot[Z], slot[PER_Z], slot[DEPTH]
    if row < 0 or row >= source_depth.shape[0]:
        z[:] = 0.0
        depth[:] = 0.0
        return
    # A pixel of depth d lies at d * (across, down, 1) in the source's camera. All of a row shares
    # `down`, so what multiplies it is added up once: (x_x * across + x_0) * d + x_t is column * z.
    m = projection
    x_x, x_0, x_t = m[0, 0], m[0, 1] * down[row] + m[0, 2], m[0, 3]
    y_x, y_0, y_t = m[1, 0], m[1, 1] * down[row] + m[1, 2], m[1, 3]
    z_x, z_0, z_t = m[2, 0], m[2, 1] * down[row] + m[2, 2], m[2, 3]
    from_row, hides_row = source_depth[row], occluding[row]
    for column in range(len(from_row)):
        ray, given, hides = across[column], from_row[column], hides_row[column]
        here = given if hides else 1.0  # unknown depth may be 0, which must not be divided by
        tz = here * (z_x * ray + z_0) + z_t
        inverse = 1.0 / tz
        px = (here * (x_x * ray + x_0) + x_t) * inverse
        py = (here * (y_x * ray + y_0) + y_t) * inverse
        # Neither behind the camera nor so near its plane that the ray is lost.
        lands = (
            hides
            & (tz > 1e-6 * here)
            & (abs(px) <= FARTHEST_OUTSIDE)
            & (abs(py) <= FARTHEST_OUTSIDE)
        )
        x[column + 1] = np.rint(px * SUBPIXEL) / SUBPIXEL
        y[column + 1] = np.rint(py * SUBPIXEL) / SUBPIXEL
        z[column + 1] = tz if lands else 0.0
        per_z[column + 1] = inverse
        depth[column + 1] = here if lands else 0.0


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _reach(row, landing, focal_ratio, spans, slopes, weights):
    """Compute the tents of a row that has landed, as have its neighbours above and below.

    Args:
        spans: [4, width + 2], int32: first and end column, first and end row of each tent.
        slopes: [2, width + 2]: by how much the weight falls per pixel, along x and y.
        weights: [4, width + 2]; the weight of a pixel is that of its column times that of its row.
    """
    above, here, below = (row - 1) % 3, row % 3, (row + 1) % 3
    per_z = landing[here, PER_Z]
    for axis in (X, Y):
        _tents(
            landing[above, axis],
            landing[here, axis],
            landing[below, axis],
            landing[above, DEPTH],
            landing[here, DEPTH],
            landing[below, DEPTH],
            per_z,
            focal_ratio[axis],
            spans[2 * axis],
            spans[2 * axis + 1],
            slopes[axis],
            weights[2 * axis],
            weights[2 * axis + 1],
        )


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _tents(
    position_above,
    position_here,
    position_below,
    depth_above,
    depth_here,
    depth_below,
    per_z,
    focal_ratio,
    first,
    end,
    slope,
    first_weight,
    second_weight,
):
    """Compute, along one axis of the target, the pixels inside each tent and the slope of its
    weight."""
    for column in range(1, len(position_here) - 1):
        position, depth = position_here[column], depth_here[column]
        along = _stretch(
            position,
            depth,
            position_here[column + 1],
            depth_here[column + 1],
            position_here[column - 1],
            depth_here[column - 1],
        )
        across = _stretch(
            position,
            depth,
            position_below[column],
            depth_below[column],
            position_above[column],
            depth_above[column],
        )
        # A lone pixel reaches as far as if it faced the camera.
        alone = np.rint(depth * per_z[column] * focal_ratio * SUBPIXEL) / SUBPIXEL
        stretch = max(along, across)
        stretch = alone if stretch == NOT_FOUND else stretch
        # The tent falls from 1 at the position to 0 at `half`. Where neighbours land `half` apart,
        # any point between two of them gets weights a and 1 - a: they sum to one.
        half = min(max(stretch, ONE), LARGEST_STRETCH)
        start = np.floor(position - half) + ONE
        fall = ONE / half
        first[column] = np.int32(start)
        end[column] = np.int32(np.ceil(position + half))
        slope[column] = fall
        first_weight[column] = ONE - abs(start - position) * fall
        second_weight[column] = ONE - abs(start + ONE - position) * fall


@numba.njit(inline="always", error_model="numpy")
@no_type_check
def _stretch(position, depth, next_position, next_depth, last_position, last_depth):
    """Return the distance to the next neighbour on the same surface, or else to the last, or else
    -1."""
    limit = SAME_SURFACE * depth
    to_next, to_last = abs(next_position - position), abs(last_position - position)
    fallback = to_last if abs(last_depth - depth) <= limit else NOT_FOUND
    return to_next if abs(next_depth - depth) <= limit else fallback


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _cover(landing, spans, slopes, weights, front):
    """Lower `front` to the depth of one source row wherever that row covers it."""
    height, width = front.shape
    for source in range(1, spans.shape[1] - 1):
        here = landing[Z, source]
        if here <= 0.0:
            continue
        left, right = spans[FIRST_COLUMN, source], spans[END_COLUMN, source]
        top, bottom = spans[FIRST_ROW, source], spans[END_ROW, source]
        if _is_two_by_two(left, right, top, bottom, height, width):
            row, column = np.uint64(top), np.uint64(left)
            next_row, next_column = row + np.uint64(1), column + np.uint64(1)
            to_left, to_right = weights[LEFT, source], weights[RIGHT, source]
            above, below = weights[ABOVE, source], weights[BELOW, source]
            _cover_pixel(front, row, column, here, above * to_left)
            _cover_pixel(front, row, next_column, here, above * to_right)
            _cover_pixel(front, next_row, column, here, below * to_left)
            _cover_pixel(front, next_row, next_column, here, below * to_right)
            continue
        x, y = landing[X, source], landing[Y, source]
        for row in range(max(0, top), min(height, bottom)):
            weight_y = ONE - abs(np.float32(row) - y) * slopes[Y, source]
            for column in range(max(0, left), min(width, right)):
                weight = weight_y * (ONE - abs(np.float32(column) - x) * slopes[X, source])
                _cover_pixel(front, np.uint64(row), np.uint64(column), here, weight)


@numba.njit(inline="always", error_model="numpy")
@no_type_check
def _is_two_by_two(left, right, top, bottom, height, width):
    return (
        (right - left == 2)
        & (bottom - top == 2)
        & (left >= 0)
        & (top >= 0)
        & (right <= width)
        & (bottom <= height)
    )


@numba.njit(inline="always", error_model="numpy")
@no_type_check
def _cover_pixel(front, row, column, here, weight):
    # Without a branch: which pixels are covered cannot be foreseen.
    front[row, column] = min(front[row, column], here if weight >= LEAST_COVERAGE else NOTHING)


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _average(landing, spans, slopes, weights, colours, visible, front, sums):
    """Add one source row to the sums of the target pixels at whose front it lies."""
    height, width = front.shape
    for source in range(1, spans.shape[1] - 1):
        here = landing[Z, source]
        if here <= 0.0 or not visible[source - 1]:
            continue
        colour = colours[0, source - 1], colours[1, source - 1], colours[2, source - 1]
        inverse = landing[PER_Z, source]
        left, right = spans[FIRST_COLUMN, source], spans[END_COLUMN, source]
        top, bottom = spans[FIRST_ROW, source], spans[END_ROW, source]
        if _is_two_by_two(left, right, top, bottom, height, width):
            row, column = np.uint64(top), np.uint64(left)
            next_row, next_column = row + np.uint64(1), column + np.uint64(1)
            to_left, to_right = weights[LEFT, source], weights[RIGHT, source]
            above, below = weights[ABOVE, source], weights[BELOW, source]
            _add(sums, front, row, column, here, inverse, colour, above * to_left)
            _add(sums, front, row, next_column, here, inverse, colour, above * to_right)
            _add(sums, front, next_row, column, here, inverse, colour, below * to_left)
            _add(sums, front, next_row, next_column, here, inverse, colour, below * to_right)
            continue
        x, y = landing[X, source], landing[Y, source]
        for row in range(max(0, top), min(height, bottom)):
            weight_y = ONE - abs(np.float32(row) - y) * slopes[Y, source]
            for column in range(max(0, left), min(width, right)):
                weight = weight_y * (ONE - abs(np.float32(column) - x) * slopes[X, source])
                _add(sums, front, np.uint64(row), np.uint64(column), here, inverse, colour, weight)


@numba.njit(inline="always", error_model="numpy")
@no_type_check
def _add(sums, front, row, column, here, inverse, colour, weight):
    nearest = front[row, column]
    # 1 / z is what is linear across the picture of a plane. Its excess over the front's, times the
    # front's depth, is (nearest - here) / here: small, so float32 keeps its digits.
    if abs(here - nearest) <= SAME_SURFACE * nearest:
        pixel = sums[row, column]
        pixel[0] += weight * colour[0]
        pixel[1] += weight * colour[1]
        pixel[2] += weight * colour[2]
        pixel[NEARER] += weight * ((nearest - here) * inverse)
        pixel[WEIGHT] += weight


@numba.njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _resolve(front, sums, frame, known, depth):
    """Turn sums into averages."""
    height, width = known.shape
    for row in range(height):
        for column in range(width):
            pixel = sums[row, column]
            total = pixel[WEIGHT]
            is_known = total >= LEAST_COVERAGE
            per_total = ONE / total
            # front * 1 / (1 + mean excess): back from mean inverse depth to depth.
            mean_ratio = total / (total + pixel[NEARER])
            known[row, column] = is_known
            depth[row, column] = front[row, column] * mean_ratio if is_known else np.float32(0.0)
            for channel in range(3):
                colour = min(ONE, max(-ONE, pixel[channel] * per_total))
                frame[channel, row, column] = colour if is_known else HOLE
