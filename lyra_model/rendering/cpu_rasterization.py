"""Kernels that composite the splats of tiles. All is float32.

Facts follow gsplat 1.5.3 (Apache-2.0): cuda/csrc/RasterizeToPixels3DGSFwd.cu. A tile is kept as 16
blocks of 4x4 pixels, because a small splat touches few of them. The innermost loops run over the
16 pixels ("lanes") of a block and hold selections but no branches, so that each becomes a handful
of vector instructions.
"""

from __future__ import annotations

import numpy as np

from lyra_model.rendering.cpu_kernels import Bounds, Floats, Integers, kernel, part_of_kernel
from lyra_model.rendering.cpu_lanes import HALF, LANES, ONE, exp_negative
from lyra_model.rendering.cpu_projection import (
    BLUE,
    CONIC_A,
    CONIC_B,
    CONIC_C,
    DEPTH,
    GREEN,
    OPACITY,
    RED,
    X,
    Y,
)
from lyra_model.rendering.cpu_tiles import BOTTOM, LEFT, RIGHT, TILE, TOP

SIDE = 4
BLOCKS = TILE // SIDE

ZERO = np.float32(0.0)
MIN_ALPHA, MAX_ALPHA = np.float32(1.0 / 255.0), np.float32(0.999)
MIN_TRANSMITTANCE = np.float32(1e-4)
MIN_ALPHA_OF_DEPTH = np.float32(1e-10)
SPLATS_BETWEEN_CHECKS = 32


@part_of_kernel
def reach(bounds: Bounds, item: int, top: int, left: int) -> tuple[int, int, int, int]:
    """The rows and columns of a tile's blocks that a splat may touch: [first, last) of both."""
    return (
        max(bounds[item, TOP] - top, 0) // SIDE,
        (min(bounds[item, BOTTOM] - top, TILE) - 1) // SIDE + 1,
        max(bounds[item, LEFT] - left, 0) // SIDE,
        (min(bounds[item, RIGHT] - left, TILE) - 1) // SIDE + 1,
    )


@part_of_kernel
def block_and_lane(row: int, column: int) -> tuple[int, int]:
    """Return where the state of a tile's pixel is kept."""
    return row // SIDE * BLOCKS + column // SIDE, row % SIDE * SIDE + column % SIDE


OPEN, FINAL, RED_SUM, GREEN_SUM, BLUE_SUM, DEPTH_SUM, LAST = range(7)
"""A block's state: OPEN is the transmittance, or 0 once the pixel is finished; FINAL the
transmittance behind the last splat taken; LAST that splat's rank in the tile, from 1."""


@kernel
def rasterize(
    first: int,
    last: int,
    starts: Integers,
    entries: Integers,
    splats: Floats,
    bounds: Bounds,
    background: Floats,
    rgb: Floats,
    depth: Floats,
    alpha: Floats,
    transmittance: Floats,
    last_rank: Integers,
) -> None:
    """Composite tiles [first, last) of one view into its images."""
    height, width = depth.shape
    columns = (width + TILE - 1) // TILE
    state = np.empty((BLOCKS * BLOCKS, 7, LANES), np.float32)
    for tile in range(first, last):
        top, left = tile // columns * TILE, tile % columns * TILE
        num_rows, num_columns = min(TILE, height - top), min(TILE, width - left)
        state.fill(ZERO)
        for row in range(num_rows):
            for column in range(num_columns):
                block, lane = block_and_lane(row, column)
                state[block, OPEN, lane] = state[block, FINAL, lane] = ONE
        start = starts[tile]
        for rank in range(starts[tile + 1] - start):
            if rank % SPLATS_BETWEEN_CHECKS == SPLATS_BETWEEN_CHECKS - 1 and not any_open(state):
                break
            item = entries[start + rank]
            offset_x = splats[item, X] - (np.float32(left) + HALF)
            offset_y = splats[item, Y] - (np.float32(top) + HALF)
            half_a, b = HALF * splats[item, CONIC_A], splats[item, CONIC_B]
            half_c, opacity = HALF * splats[item, CONIC_C], splats[item, OPACITY]
            red, green, blue = splats[item, RED], splats[item, GREEN], splats[item, BLUE]
            z = splats[item, DEPTH]
            place = np.float32(rank + 1)
            first_row, last_row, first_column, last_column = reach(bounds, item, top, left)
            for row in range(first_row, last_row):
                for column in range(first_column, last_column):
                    block = row * BLOCKS + column
                    block_x = offset_x - np.float32(column * SIDE)
                    block_y = offset_y - np.float32(row * SIDE)
                    for lane in range(LANES):
                        dx = block_x - np.float32(lane % SIDE)
                        dy = block_y - np.float32(lane // SIDE)
                        sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
                        share = opacity * exp_negative(sigma)
                        share = share if share < MAX_ALPHA else MAX_ALPHA
                        before = state[block, OPEN, lane]
                        final = state[block, FINAL, lane]
                        rank_before = state[block, LAST, lane]
                        behind = before - before * share
                        seen = (sigma >= ZERO) & (share >= MIN_ALPHA)
                        taken = seen & (behind > MIN_TRANSMITTANCE)
                        weight = share * before if taken else ZERO
                        going_on = behind if taken else ZERO
                        state[block, OPEN, lane] = going_on if seen else before
                        state[block, FINAL, lane] = behind if taken else final
                        state[block, RED_SUM, lane] += weight * red
                        state[block, GREEN_SUM, lane] += weight * green
                        state[block, BLUE_SUM, lane] += weight * blue
                        state[block, DEPTH_SUM, lane] += weight * z
                        state[block, LAST, lane] = place if taken else rank_before
        for row in range(num_rows):
            y = top + row
            for column in range(num_columns):
                x, (block, lane) = left + column, block_and_lane(row, column)
                final = state[block, FINAL, lane]
                opaque = ONE - final
                rgb[0, y, x] = state[block, RED_SUM, lane] + final * background[0]
                rgb[1, y, x] = state[block, GREEN_SUM, lane] + final * background[1]
                rgb[2, y, x] = state[block, BLUE_SUM, lane] + final * background[2]
                divisor = opaque if opaque > MIN_ALPHA_OF_DEPTH else MIN_ALPHA_OF_DEPTH
                depth[y, x] = state[block, DEPTH_SUM, lane] / divisor
                alpha[y, x] = opaque
                transmittance[y, x] = final
                last_rank[y, x] = np.int32(state[block, LAST, lane])


@part_of_kernel
def any_open(state: Floats) -> bool:
    for block in range(BLOCKS * BLOCKS):
        total = ZERO
        for lane in range(LANES):
            total += state[block, OPEN, lane]
        if total > ZERO:
            return True
    return False
