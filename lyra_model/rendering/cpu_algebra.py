"""The little algebra the kernels need: a vector is a tuple of 3, a matrix a tuple of its rows."""

from __future__ import annotations

import math

import numpy as np

from lyra_model.rendering.cpu_kernels import Floats, part_of_kernel

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
Quaternion = tuple[float, float, float, float]


@part_of_kernel
def vector_at(rows: Floats, item: int) -> Vector:
    """A row of three, as float64."""
    return np.float64(rows[item, 0]), np.float64(rows[item, 1]), np.float64(rows[item, 2])


@part_of_kernel
def unit_quaternion_at(rows: Floats, item: int) -> tuple[Quaternion, float]:
    """A row of four scaled to unit length (w, x, y, z), and the scale; NaN where it is zero."""
    w, x, y = vector_at(rows, item)
    z = np.float64(rows[item, 3])
    scale = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    return (w * scale, x * scale, y * scale, z * scale), scale


@part_of_kernel
def product(a: Vector, b: Vector) -> Vector:
    """Element by element."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@part_of_kernel
def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@part_of_kernel
def row_times(row: Vector, matrix: Matrix) -> Vector:
    """row @ matrix."""
    return (
        row[0] * matrix[0][0] + row[1] * matrix[1][0] + row[2] * matrix[2][0],
        row[0] * matrix[0][1] + row[1] * matrix[1][1] + row[2] * matrix[2][1],
        row[0] * matrix[0][2] + row[1] * matrix[1][2] + row[2] * matrix[2][2],
    )


@part_of_kernel
def combined(a: float, row: Vector, b: float, other: Vector) -> Vector:
    """a * row + b * other."""
    return (
        a * row[0] + b * other[0],
        a * row[1] + b * other[1],
        a * row[2] + b * other[2],
    )


@part_of_kernel
def inverse(xx: float, xy: float, yy: float) -> Vector:
    """Inverse (xx, xy, yy) of a symmetric 2x2 matrix."""
    factor = 1.0 / (xx * yy - xy * xy)
    return yy * factor, -xy * factor, xx * factor


@part_of_kernel
def rotation_of(quaternion: Quaternion) -> Matrix:
    """Rotation matrix of a unit quaternion."""
    w, x, y, z = quaternion
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
    )
