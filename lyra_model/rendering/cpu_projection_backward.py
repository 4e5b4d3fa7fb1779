"""The hand-written gradient of the projection: from splats back to Gaussians and the camera."""

from __future__ import annotations

from lyra_model.rendering.cpu_algebra import (
    Matrix,
    combined,
    dot,
    inverse,
    product,
    row_times,
    unit_quaternion_at,
    vector_at,
)
from lyra_model.rendering.cpu_kernels import Doubles, Floats, Integers, kernel, part_of_kernel
from lyra_model.rendering.cpu_projection import (
    BLUE,
    CONIC_A,
    CONIC_B,
    CONIC_C,
    DEPTH,
    FX,
    FY,
    GREEN,
    OPACITY,
    RED,
    X,
    Y,
    in_camera,
    linearised,
    unpack,
)

BLOCK = 1024
"""Gaussians that share one partial sum of the view's gradient, whatever the number of threads."""


@kernel
def project_backward(
    first: int,
    last: int,
    means: Floats,
    quats: Floats,
    scales: Floats,
    camera: Doubles,
    spans: Integers,
    places: Integers,
    splat_gradients: Floats,
    grad_means: Floats,
    grad_quats: Floats,
    grad_scales: Floats,
    grad_opacities: Floats,
    grad_colors: Floats,
    grad_views: Doubles,
) -> None:
    """Add the gradients of the Gaussians of blocks [first, last), and their part of the view's.

    Args:
        spans: where a Gaussian's entries in `places` begin; they end where the next one's begin.
        places: rows of `splat_gradients`, one for every tile the Gaussian touches.
        grad_views: one 3x4 partial sum for every block.
    """
    fx, fy = camera[FX], camera[FY]
    view, _ = unpack(camera)
    for block in range(first, last):
        for item in range(block * BLOCK, min((block + 1) * BLOCK, len(means))):
            if spans[item] == spans[item + 1]:
                continue
            g_x = g_y = g_a = g_b = g_c = g_depth = 0.0
            for span in range(spans[item], spans[item + 1]):
                row = places[span]
                g_x += splat_gradients[row, X]
                g_y += splat_gradients[row, Y]
                g_a += splat_gradients[row, CONIC_A]
                g_b += splat_gradients[row, CONIC_B]
                g_c += splat_gradients[row, CONIC_C]
                g_depth += splat_gradients[row, DEPTH]
                grad_opacities[item] += splat_gradients[row, OPACITY]
                grad_colors[item, 0] += splat_gradients[row, RED]
                grad_colors[item, 1] += splat_gradients[row, GREEN]
                grad_colors[item, 2] += splat_gradients[row, BLUE]

            centre = in_camera(means, item, camera)
            slopes, rotation, p, q, covariance = linearised(centre, quats, scales, item, camera)
            x, y, inverse_z = centre[0], centre[1], 1.0 / centre[2]
            jx, jy = fx * inverse_z, fy * inverse_z
            xx, xy, yy = covariance

            # conic = covariance^-1, so its gradient passes as -conic G conic, G symmetric.
            a, b, c = inverse(xx, xy, yy)
            half_b = 0.5 * g_b
            left = (a * g_a + b * half_b, a * half_b + b * g_c)
            right = (b * g_a + c * half_b, b * half_b + c * g_c)
            g_xx = -(left[0] * a + left[1] * b)
            g_xy = -(left[0] * b + left[1] * c)
            g_yy = -(right[0] * b + right[1] * c)

            # covariance = (Q S)(Q S)^T
            g_q0, g_q1 = combined(g_xx, q[0], g_xy, q[1]), combined(g_xy, q[0], g_yy, q[1])
            scale = vector_at(scales, item)
            g_scale = combined(2.0, product(g_q0, q[0]), 2.0, product(g_q1, q[1]))
            twice_variance = (2 * scale[0] ** 2, 2 * scale[1] ** 2, 2 * scale[2] ** 2)
            g_q0, g_q1 = product(g_q0, twice_variance), product(g_q1, twice_variance)

            # Q = P R
            g_rotation = (
                combined(p[0][0], g_q0, p[1][0], g_q1),
                combined(p[0][1], g_q0, p[1][1], g_q1),
                combined(p[0][2], g_q0, p[1][2], g_q1),
            )
            add_quaternion_gradient(quats, item, g_rotation, grad_quats)
            g_p0 = (dot(g_q0, rotation[0]), dot(g_q0, rotation[1]), dot(g_q0, rotation[2]))
            g_p1 = (dot(g_q1, rotation[0]), dot(g_q1, rotation[1]), dot(g_q1, rotation[2]))

            # P0 = fx/z (W0 - slope_x W2), P1 = fy/z (W1 - slope_y W2)
            g_centre_x, g_centre_y = jx * g_x, jy * g_y
            g_centre_z = g_depth - inverse_z * (
                x * g_centre_x + y * g_centre_y + dot(g_p0, p[0]) + dot(g_p1, p[1])
            )
            if slopes[0] == x * inverse_z:
                g_slope = -jx * inverse_z * dot(g_p0, view[2])
                g_centre_x += g_slope
                g_centre_z -= g_slope * slopes[0]
            if slopes[1] == y * inverse_z:
                g_slope = -jy * inverse_z * dot(g_p1, view[2])
                g_centre_y += g_slope
                g_centre_z -= g_slope * slopes[1]
            g_centre = (g_centre_x, g_centre_y, g_centre_z)

            g_mean = row_times(g_centre, view)
            g_w2 = combined(-jx * slopes[0], g_p0, -jy * slopes[1], g_p1)
            for axis in range(3):
                grad_means[item, axis] += g_mean[axis]
                grad_scales[item, axis] += g_scale[axis] * scale[axis]
                mean = means[item, axis]
                grad_views[block, 0, axis] += jx * g_p0[axis] + g_centre_x * mean
                grad_views[block, 1, axis] += jy * g_p1[axis] + g_centre_y * mean
                grad_views[block, 2, axis] += g_w2[axis] + g_centre_z * mean
                grad_views[block, axis, 3] += g_centre[axis]


@part_of_kernel
def add_quaternion_gradient(quats: Floats, item: int, g: Matrix, grad_quats: Floats) -> None:
    """Pass the gradient of the rotation matrix on to the quaternion, through its normalisation."""
    (w, x, y, z), scale = unit_quaternion_at(quats, item)
    g_w = 2.0 * (x * (g[2][1] - g[1][2]) + y * (g[0][2] - g[2][0]) + z * (g[1][0] - g[0][1]))
    g_x = 2.0 * (
        y * (g[0][1] + g[1][0])
        + z * (g[0][2] + g[2][0])
        + w * (g[2][1] - g[1][2])
        - 2.0 * x * (g[1][1] + g[2][2])
    )
    g_y = 2.0 * (
        x * (g[0][1] + g[1][0])
        + z * (g[1][2] + g[2][1])
        + w * (g[0][2] - g[2][0])
        - 2.0 * y * (g[0][0] + g[2][2])
    )
    g_z = 2.0 * (
        x * (g[0][2] + g[2][0])
        + y * (g[1][2] + g[2][1])
        + w * (g[1][0] - g[0][1])
        - 2.0 * z * (g[0][0] + g[1][1])
    )
    along = w * g_w + x * g_x + y * g_y + z * g_z
    grad_quats[item, 0] += (g_w - along * w) * scale
    grad_quats[item, 1] += (g_x - along * x) * scale
    grad_quats[item, 2] += (g_y - along * y) * scale
    grad_quats[item, 3] += (g_z - along * z) * scale
