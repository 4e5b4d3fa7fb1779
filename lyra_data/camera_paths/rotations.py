"""Rotations as unit quaternions, which can be interpolated, and cameras that face a point."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def quaternions_of(
    rotations: Float[Tensor, "pose 3 3"],
) -> Float[Tensor, "pose 4"]:
    """Return w, x, y, z of rotations; each has the sign that is nearer to the one before it."""
    m = rotations
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    # Four times the products of the largest component with all four: one of these rows is always
    # far from 0, so nothing is divided by a small number (Shepperd 1978).
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 1, 0] + m[:, 0, 1], m[:, 0, 2] + m[:, 2, 0], m[:, 2, 1] + m[:, 1, 2]
    rows = torch.stack(
        [
            torch.stack([1 + trace, wx, wy, wz], dim=-1),
            torch.stack([wx, 1 + xx - yy - zz, xy, xz], dim=-1),
            torch.stack([wy, xy, 1 - xx + yy - zz, yz], dim=-1),
            torch.stack([wz, xz, yz, 1 - xx - yy + zz], dim=-1),
        ],
        dim=1,
    )
    largest = torch.stack([rows[:, k, k] for k in range(4)], dim=-1).argmax(dim=-1)
    chosen = rows[torch.arange(len(m)), largest]
    return aligned(torch.nn.functional.normalize(chosen, dim=-1))


def aligned(quaternions: Float[Tensor, "pose 4"]) -> Float[Tensor, "pose 4"]:
    """Return the same rotations; no two neighbours are more than half a turn apart."""
    products = (quaternions[1:] * quaternions[:-1]).sum(dim=-1)
    signs = torch.where(products < 0, -1.0, 1.0).to(quaternions.dtype)
    signs = torch.cat([signs.new_ones(1), signs.cumprod(dim=0)])
    return quaternions * signs[:, None]


def rotations_of(quaternions: Float[Tensor, "pose 4"]) -> Float[Tensor, "pose 3 3"]:
    """Return the rotation matrices of w, x, y, z, which may be off unit length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def angles_between(
    first: Float[Tensor, "pose 3 3"], second: Float[Tensor, "pose 3 3"]
) -> Float[Tensor, " pose"]:
    """Return the angles in radians by which the second rotations differ from the first."""
    # |A - B| = 2 sqrt(2) sin(angle / 2): unlike the trace, it is exact for small angles too.
    chord = (first - second).flatten(1).norm(dim=1) / (2 * 2**0.5)
    return 2 * torch.asin(chord.clamp(max=1.0))


def look_at(
    positions: Float[Tensor, "frame 3"],
    targets: Float[Tensor, "frame 3"],
    *,
    reference_translation: bool = False,
) -> Float[Tensor, "frame 4 4"]:
    """Return world-to-camera transforms of cameras at `positions` that face `targets`.

    The camera's y axis stays in the plane of the world's y (down) and the view direction, which
    must not be parallel. `reference_translation` leaves the translation unrotated.
    """
    forward = torch.nn.functional.normalize(targets - positions, dim=-1)
    world_down = forward.new_tensor([0.0, 1.0, 0.0]).expand_as(forward)
    sideways = torch.linalg.cross(world_down, forward)
    assert bool((sideways.norm(dim=-1) > 1e-9).all()), "a camera looks straight up or down"
    # Right-handed with y down: x = y cross z, then y = z cross x, made orthogonal to the view.
    camera_right = torch.nn.functional.normalize(sideways, dim=-1)
    camera_down = torch.linalg.cross(forward, camera_right)

    transform = torch.eye(4, dtype=positions.dtype).repeat(len(positions), 1, 1)
    # The camera's axes as rows: world to camera. Its translation is -R times the position.
    rotation = torch.stack([camera_right, camera_down, forward], dim=-2)
    transform[:, :3, :3] = rotation
    if reference_translation:
        transform[:, :3, 3] = -positions
    else:
        transform[:, :3, 3] = -(rotation @ positions[..., None])[..., 0]
    return transform
