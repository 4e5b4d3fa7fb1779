"""Points to pixels and back: one formula, in torch and in NumPy."""

from __future__ import annotations

import numpy as np
import torch

from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.projection import (
    pixel_positions,
    project,
    project_as_reference,
    to_pixels,
    transform_points,
    unproject,
)

HEIGHT, WIDTH = 6, 8


def camera() -> Cameras:
    pose = torch.tensor(
        [[0.0, 0.0, 1.0, 0.3], [0.0, 1.0, 0.0, -0.2], [-1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0]]
    )
    return Cameras(pose[None], torch.tensor([[7.0, 9.0, 4.2, 2.9]]), HEIGHT, WIDTH)


def world_points() -> torch.Tensor:
    depth = torch.linspace(1.0, 3.0, HEIGHT * WIDTH).reshape(1, HEIGHT, WIDTH)
    valid = torch.ones_like(depth, dtype=torch.bool)
    return unproject(depth, valid, camera(), pixel_centre=PIXEL_CENTRE)


def test_projecting_undoes_unprojecting() -> None:
    expected = pixel_positions(HEIGHT, WIDTH, pixel_centre=PIXEL_CENTRE, like=torch.zeros(1))
    pixels = project(world_points().reshape(-1, 3), camera())
    torch.testing.assert_close(pixels[0].reshape(HEIGHT, WIDTH, 2), expected, rtol=0, atol=1e-5)


def test_the_references_projection_differs_by_rounding_alone() -> None:
    points = world_points()
    inside = transform_points(points, camera().world_to_camera)
    theirs = project_as_reference(inside, camera().intrinsics).reshape(-1, 2)
    ours = project(points.reshape(-1, 3), camera())[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_torch_and_numpy_give_the_same_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y, z = torch.rand(3, 50, generator=generator, dtype=torch.float64) + 0.5
    intrinsics = torch.tensor([7.0, 9.0, 4.2, 2.9], dtype=torch.float64)
    columns, rows = to_pixels((x, y, z), tuple(intrinsics))
    arrays = to_pixels((x.numpy(), y.numpy(), z.numpy()), tuple(intrinsics.numpy()))
    np.testing.assert_allclose(columns.numpy(), arrays[0], rtol=1e-15)
    np.testing.assert_allclose(rows.numpy(), arrays[1], rtol=1e-15)


def test_a_point_behind_the_camera_lands_far_outside_the_picture() -> None:
    behind = camera().centres + camera().camera_to_world[:, :3, :3] @ torch.tensor([1.0, 0, -1.0])
    assert project(behind, camera()).abs().max() > 1e5
