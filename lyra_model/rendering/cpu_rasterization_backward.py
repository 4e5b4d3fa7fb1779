"""The hand-written gradient of compositing: from images back to the splats of tiles.

The blocks and lanes of cpu_rasterization, walked from back to front. Every entry of a tile has a
row of its own for its gradient, gathered later: no two threads ever add to one place.
"""

from __future__ import annotations

import numpy as np

from lyra_model.rendering.cpu_kernels import Bounds, Floats, Integers, kernel, part_of_kernel
from lyra_model.rendering.cpu_lanes import HALF, LANES, ONE, exp_negative, sum_of_lanes
from lyra_model.rendering.cpu_projection import (
    BLUE,
    CONIC_A,
    CONIC_B,
    CONIC_C,
    DEPTH,
    GREEN,
    OPACITY,
    RED,
    SPLAT_FIELDS,
    X,
    Y,
)
from lyra_model.rendering.cpu_rasterization import (
    BLOCKS,
    MAX_ALPHA,
    MIN_ALPHA,
    MIN_ALPHA_OF_DEPTH,
    SIDE,
    ZERO,
    block_and_lane,
    reach,
)
from lyra_model.rendering.cpu_tiles import TILE

BEFORE, BEHIND, GRAD_RED, GRAD_GREEN, GRAD_BLUE, GRAD_DEPTH, RANK = range(7)
"""A block's state on the way back: BEFORE is the transmittance before the splat at hand; BEHIND
the share in the loss of all that lies behind it; then the gradients of the sums of weight x colour
and of weight x depth; RANK that of the pixel's last splat."""


@kernel
def rasterize_backward(
    first: int,
    last: int,
    starts: Integers,
    entries: Integers,
    splats: Floats,
    bounds: Bounds,
    background: Floats,
    depth: Floats,
    transmittance: Floats,
    last_rank: Integers,
    grad_rgb: Floats,
    grad_depth: Floats,
    grad_alpha: Floats,
    splat_gradients: Floats,
) -> None:
    """Write the gradient of every entry of tiles [first, last), going from back to front.

    With weight_i = alpha_i T_i and T_(i+1) = T_i (1 - alpha_i), a pixel's loss has
    dL/dalpha_i = T_i (v . c_i) - BEHIND_i / (1 - alpha_i), where
    BEHIND_i = sum over j > i of weight_j (v . c_j) + T_final (v . background - v_alpha).
    """
    height, width = depth.shape
    columns = (width + TILE - 1) // TILE
    state = np.empty((BLOCKS * BLOCKS, 7, LANES), np.float32)
    sums = np.empty((SPLAT_FIELDS, LANES), np.float32)
    rank_of_block = np.empty(BLOCKS * BLOCKS, np.int64)
    for tile in range(first, last):
        top, left = tile // columns * TILE, tile % columns * TILE
        num_rows, num_columns = min(TILE, height - top), min(TILE, width - left)
        state.fill(ZERO)
        rank_of_block.fill(0)
        for row in range(num_rows):
            y = top + row
            for column in range(num_columns):
                x, (block, lane) = left + column, block_and_lane(row, column)
                final = transmittance[y, x]
                opaque = ONE - final
                g_depth, g_alpha = grad_depth[y, x], grad_alpha[y, x]
                if opaque > MIN_ALPHA_OF_DEPTH:
                    g_depth /= opaque
                    g_alpha -= g_depth * depth[y, x]
                else:
                    g_depth /= MIN_ALPHA_OF_DEPTH
                red, green, blue = grad_rgb[0, y, x], grad_rgb[1, y, x], grad_rgb[2, y, x]
                behind = red * background[0] + green * background[1] + blue * background[2]
                state[block, BEFORE, lane] = final
                state[block, BEHIND, lane] = final * (behind - g_alpha)
                state[block, GRAD_RED, lane] = red
                state[block, GRAD_GREEN, lane] = green
                state[block, GRAD_BLUE, lane] = blue
                state[block, GRAD_DEPTH, lane] = g_depth
                state[block, RANK, lane] = np.float32(last_rank[y, x])
                rank_of_block[block] = max(rank_of_block[block], last_rank[y, x])
        start, deepest = starts[tile], 0
        for block in range(BLOCKS * BLOCKS):
            deepest = max(deepest, rank_of_block[block])
        for entry in range(start + deepest, starts[tile + 1]):
            for field in range(SPLAT_FIELDS):
                splat_gradients[entry, field] = ZERO
        for rank in range(deepest - 1, -1, -1):
            item = entries[start + rank]
            offset_x = splats[item, X] - (np.float32(left) + HALF)
            offset_y = splats[item, Y] - (np.float32(top) + HALF)
            a, b, c = splats[item, CONIC_A], splats[item, CONIC_B], splats[item, CONIC_C]
            half_a, half_c, opacity = HALF * a, HALF * c, splats[item, OPACITY]
            red, green, blue = splats[item, RED], splats[item, GREEN], splats[item, BLUE]
            z = splats[item, DEPTH]
            place = np.float32(rank + 1)
            first_row, last_row, first_column, last_column = reach(bounds, item, top, left)
            sums.fill(ZERO)
            for row in range(first_row, last_row):
                for column in range(first_column, last_column):
                    block = row * BLOCKS + column
                    if rank >= rank_of_block[block]:
                        continue
                    block_x = offset_x - np.float32(column * SIDE)
                    block_y = offset_y - np.float32(row * SIDE)
                    for lane in range(LANES):
                        dx = block_x - np.float32(lane % SIDE)
                        dy = block_y - np.float32(lane // SIDE)
                        sigma = dx * (half_a * dx + b * dy) + half_c * dy * dy
                        unclamped = opacity * exp_negative(sigma)
                        share = unclamped if unclamped < MAX_ALPHA else MAX_ALPHA
                        taken = (sigma >= ZERO) & (share >= MIN_ALPHA)
                        taken = taken & (place <= state[block, RANK, lane])
                        share = share if taken else ZERO
                        kept = ONE / (ONE - share)
                        before = state[block, BEFORE, lane] * kept
                        weight = share * before
                        g_red = state[block, GRAD_RED, lane]
                        g_green = state[block, GRAD_GREEN, lane]
                        g_blue = state[block, GRAD_BLUE, lane]
                        g_z = state[block, GRAD_DEPTH, lane]
                        value = red * g_red + green * g_green + blue * g_blue + z * g_z
                        behind = state[block, BEHIND, lane]
                        g_share = before * value - behind * kept
                        g_sigma = -share * g_share if unclamped <= MAX_ALPHA else ZERO
                        state[block, BEFORE, lane] = before
                        state[block, BEHIND, lane] = behind + weight * value
                        g_dx, g_dy = g_sigma * dx, g_sigma * dy
                        sums[X, lane] += g_dx
                        sums[Y, lane] += g_dy
                        sums[CONIC_A, lane] += g_dx * dx
                        sums[CONIC_B, lane] += g_dx * dy
                        sums[CONIC_C, lane] += g_dy * dy
                        sums[OPACITY, lane] += g_sigma
                        sums[RED, lane] += weight * g_red
                        sums[GREEN, lane] += weight * g_green
                        sums[BLUE, lane] += weight * g_blue
                        sums[DEPTH, lane] += weight * g_z
            write_gradient(splat_gradients, start + rank, sums, a, b, c, opacity)


@part_of_kernel
def write_gradient(
    splat_gradients: Floats,
    entry: int,
    sums: Floats,
    a: np.float32,
    b: np.float32,
    c: np.float32,
    opacity: np.float32,
) -> None:
    """The gradient of a splat's fields, of what `rasterize_backward` summed in every lane."""
    x, y = sum_of_lanes(sums, X), sum_of_lanes(sums, Y)
    splat_gradients[entry, X] = a * x + b * y
    splat_gradients[entry, Y] = b * x + c * y
    splat_gradients[entry, CONIC_A] = HALF * sum_of_lanes(sums, CONIC_A)
    splat_gradients[entry, CONIC_B] = sum_of_lanes(sums, CONIC_B)
    splat_gradients[entry, CONIC_C] = HALF * sum_of_lanes(sums, CONIC_C)
    splat_gradients[entry, OPACITY] = -sum_of_lanes(sums, OPACITY) / opacity
    splat_gradients[entry, RED] = sum_of_lanes(sums, RED)
    splat_gradients[entry, GREEN] = sum_of_lanes(sums, GREEN)
    splat_gradients[entry, BLUE] = sum_of_lanes(sums, BLUE)
    splat_gradients[entry, DEPTH] = sum_of_lanes(sums, DEPTH)
