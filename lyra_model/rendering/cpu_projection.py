"""Kernels that project Gaussians to the screen.

Facts follow gsplat 1.5.3 (Apache-2.0): cuda/csrc/ProjectionEWA3DGSFused.cu for culling and the
opacity-aware bounds, cuda/include/Utils.cuh (persp_proj, quat_to_rotmat) for the projection.
Within a Gaussian all is float64, stored is float32: as fast here, and decisions at thresholds
stay close to the oracle's.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lyra_model.rendering.cpu_algebra import (
    Matrix,
    Vector,
    combined,
    dot,
    inverse,
    product,
    rotation_of,
    row_times,
    unit_quaternion_at,
    vector_at,
)
from lyra_model.rendering.cpu_kernels import Bounds, Doubles, Floats, Keys, kernel, part_of_kernel
from lyra_model.rendering.cpu_tiles import BOTTOM, LEFT, RIGHT, TOP, covered

X, Y, CONIC_A, CONIC_B, CONIC_C, OPACITY, RED, GREEN, BLUE, DEPTH = range(10)
"""Fields of a splat: a Gaussian on the screen, in pixels; sigma = (a dx^2 + c dy^2)/2 + b dx dy."""

SPLAT_FIELDS = 10

FX, FY, CX, CY, WIDTH, HEIGHT, NEAR, FAR = range(12, 20)
SLOPE_LEFT, SLOPE_RIGHT, SLOPE_TOP, SLOPE_BOTTOM = range(20, 24)
"""A packed camera holds world_to_camera's rotation (9) and translation (3), then these."""

CULLED = np.uint32(0xFFFF_FFFF)
"""The key of a Gaussian that is not seen; the other keys are the bits of the depth, which sort as
depths do because they are positive."""

MIN_ALPHA = 1.0 / 255.0
SCREEN_BLUR = 0.3  # square pixels, added to the diagonal of the screen covariance
SLOPE_MARGIN = 0.3  # slopes are clamped this share of the half view outside the image
RADIUS_FACTOR, RADIUS_EXTRA = 1.0001, 0.01  # rounding to float32 must not cut a visible pixel off


@part_of_kernel
def unpack(camera: Doubles) -> tuple[Matrix, Vector]:
    """Rotation and translation of world_to_camera, the first twelve numbers of a packed camera."""
    rotation = (
        (camera[0], camera[1], camera[2]),
        (camera[3], camera[4], camera[5]),
        (camera[6], camera[7], camera[8]),
    )
    return rotation, (camera[9], camera[10], camera[11])


@part_of_kernel
def in_camera(means: Floats, item: int, camera: Doubles) -> Vector:
    """Centre of a Gaussian in the camera."""
    rotation, translation = unpack(camera)
    mean = vector_at(means, item)
    return (
        dot(rotation[0], mean) + translation[0],
        dot(rotation[1], mean) + translation[1],
        dot(rotation[2], mean) + translation[2],
    )


@part_of_kernel
def linearised(
    centre: Vector, quats: Floats, scales: Floats, item: int, camera: Doubles
) -> tuple[tuple[float, float], Matrix, tuple[Vector, Vector], tuple[Vector, Vector], Vector]:
    """Return the factors of the screen covariance, for the projection and its gradient.

    Returns:
        Slopes (x/z, y/z) clamped to the view and its margin; the Gaussian's rotation; the two
        rows P = J W (the projection linearised at the centre, J, times the camera's rotation);
        the two rows Q = P R; and the blurred covariance Q S S Q^T (xx, xy, yy).
    """
    x, y, z = centre
    fx, fy = camera[FX], camera[FY]
    inverse_z = 1.0 / z
    slope_x = min(camera[SLOPE_RIGHT], max(camera[SLOPE_LEFT], x * inverse_z))
    slope_y = min(camera[SLOPE_BOTTOM], max(camera[SLOPE_TOP], y * inverse_z))

    quaternion, _ = unit_quaternion_at(quats, item)
    rotation = rotation_of(quaternion)
    view, _ = unpack(camera)
    p = (
        combined(fx * inverse_z, view[0], -fx * inverse_z * slope_x, view[2]),
        combined(fy * inverse_z, view[1], -fy * inverse_z * slope_y, view[2]),
    )
    q = (row_times(p[0], rotation), row_times(p[1], rotation))
    scale = vector_at(scales, item)
    variance = product(scale, scale)
    stretched_x, stretched_y = product(q[0], variance), product(q[1], variance)
    xx, yy = dot(stretched_x, q[0]) + SCREEN_BLUR, dot(stretched_y, q[1]) + SCREEN_BLUR
    return (slope_x, slope_y), rotation, p, q, (xx, dot(stretched_x, q[1]), yy)


@kernel
def project(
    first: int,
    last: int,
    means: Floats,
    quats: Floats,
    scales: Floats,
    opacities: Floats,
    colors: Floats,
    camera: Doubles,
    splats: Floats,
    bounds: Bounds,
    keys: Keys,
    not_finite: NDArray[np.bool_],
) -> None:
    """Write splat, bounds and sort key of Gaussians [first, last), and which hold NaN or inf."""
    for item in range(first, last):
        keys[item] = CULLED
        for side in range(4):
            bounds[item, side] = 0
        opacity = np.float64(opacities[item])
        total = opacity
        for axis in range(3):
            total += np.float64(means[item, axis]) + scales[item, axis] + colors[item, axis]
        for axis in range(4):
            total += quats[item, axis]
        not_finite[item] = not math.isfinite(total)

        centre = in_camera(means, item, camera)
        x, y, z = centre
        if not (camera[NEAR] <= z <= camera[FAR]) or not opacity >= MIN_ALPHA:
            continue
        _, _, _, _, covariance = linearised(centre, quats, scales, item, camera)
        xx, xy, yy = covariance
        determinant = xx * yy - xy * xy
        if not (0.0 < determinant < math.inf):
            continue
        extent = math.sqrt(2.0 * math.log(opacity / MIN_ALPHA))
        radius_x = extent * math.sqrt(xx) * RADIUS_FACTOR + RADIUS_EXTRA
        radius_y = extent * math.sqrt(yy) * RADIUS_FACTOR + RADIUS_EXTRA
        screen_x = camera[FX] * x / z + camera[CX]
        screen_y = camera[FY] * y / z + camera[CY]
        left, right = covered(screen_x, radius_x, camera[WIDTH])
        top, bottom = covered(screen_y, radius_y, camera[HEIGHT])
        if left >= right or top >= bottom:
            continue
        bounds[item, LEFT], bounds[item, RIGHT] = left, right
        bounds[item, TOP], bounds[item, BOTTOM] = top, bottom
        splats[item, X] = screen_x
        splats[item, Y] = screen_y
        a, b, c = inverse(xx, xy, yy)
        splats[item, CONIC_A], splats[item, CONIC_B], splats[item, CONIC_C] = a, b, c
        splats[item, OPACITY] = opacity
        splats[item, RED] = colors[item, 0]
        splats[item, GREEN] = colors[item, 1]
        splats[item, BLUE] = colors[item, 2]
        splats[item, DEPTH] = z
        keys[item] = np.float32(z).view(np.uint32)
