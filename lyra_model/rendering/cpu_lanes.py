"""Define the innermost loops of the CPU rasterizer: 16 float32 at a time ("lanes")."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite.ir import Constant, FloatType, IntType, Undefined, VectorType
from numba import float32
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from lyra_model.rendering.cpu_kernels import part_of_kernel

LANES = 16
HALF, ONE = np.float32(0.5), np.float32(1.0)

MAX_SIGMA, LOG2_E = np.float32(80.0), np.float32(1.4426950408889634)
E1, E2, E3 = np.float32(0.6931472), np.float32(0.2402265), np.float32(0.05550411)
E4, E5, E6 = np.float32(0.009618129), np.float32(0.0013333558), np.float32(0.00015403530)


@part_of_kernel
def exp_negative(sigma: np.float32) -> np.float32:
    """exp(-sigma) for 0 <= sigma, to 2e-7; library calls would keep the loops from vectorising."""
    exponent = -LOG2_E * (sigma if sigma < MAX_SIGMA else MAX_SIGMA)
    whole = np.int32(exponent - HALF)
    rest = exponent - np.float32(whole)
    power = E6 * rest + E5
    power = power * rest + E4
    power = power * rest + E3
    power = power * rest + E2
    power = power * rest + E1
    power = power * rest + ONE
    return power * np.int32((whole + 127) << 23).view(np.float32)


def _sum_of_lanes(_typing: Any, sums: Any, field: Any) -> Any:
    """Sum of a row of 16 float32, in a fixed order: 8 pairs, then 4, 2 and 1.

    Written as vector instructions because a loop of fixed length becomes 15 scalar additions.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        first = builder.mul(arguments[1], arguments[1].type(LANES))
        row = builder.bitcast(
            builder.gep(data, [first]), VectorType(FloatType(), LANES).as_pointer()
        )
        vector = builder.load(row, align=4)
        width = LANES
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    vector,
                    Constant(vector.type, Undefined),
                    Constant(VectorType(IntType(32), width), [*range(start, start + width)]),
                )
                for start in (0, width)
            ]
            vector = builder.fadd(*halves)
        return builder.extract_element(vector, Constant(IntType(32), 0))

    return float32(sums, field), emit


sum_of_lanes: Any = intrinsic(_sum_of_lanes)
