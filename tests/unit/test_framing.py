"""Cameras before a scene of which only its Gaussians are known."""

from __future__ import annotations

import pytest
import torch

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.framing import frame_scene, looking_at


def scene_of(means: torch.Tensor) -> Gaussians:
    count = len(means)
    return Gaussians(
        means=means.float(),
        scales=torch.full((count, 3), 0.01),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        opacities=torch.full((count,), 0.9),
        colors=torch.full((count, 3), 0.5),
    )


def share_in_view(means: torch.Tensor, cameras: Cameras, index: int) -> float:
    to_camera = cameras.world_to_camera[index].double()
    points = means.double() @ to_camera[:3, :3].T + to_camera[:3, 3]
    fx, fy, cx, cy = cameras.intrinsics[index].double()
    across = fx * points[:, 0] / points[:, 2] + cx
    along = fy * points[:, 1] / points[:, 2] + cy
    inside = (points[:, 2] > 0) & (across >= 0) & (across <= cameras.width)
    return float((inside & (along >= 0) & (along <= cameras.height)).double().mean())


def box(offset: tuple[float, float, float]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.rand(500, 3, generator=generator) - 1 + torch.tensor(offset)


def test_a_scene_before_the_origin_is_seen_from_there() -> None:
    means = box((0.3, -0.2, 4.0))
    framing = frame_scene(scene_of(means), num=3)
    assert framing.from_origin
    assert torch.equal(framing.cameras.camera_to_world[0], torch.eye(4))
    assert framing.pivot_depth == pytest.approx(4.0, abs=0.1)
    assert all(share_in_view(means, framing.cameras, index) > 0.9 for index in range(3))
    assert framing.near < 3 and framing.far > 5


@pytest.mark.parametrize("up", ["-y", "y", "z"])
def test_a_scene_around_the_origin_is_seen_from_outside_its_right_side_up(up: str) -> None:
    means = box((0.0, 0.0, 0.0))
    framing = frame_scene(scene_of(means), num=4, up=up)
    axis = {"-y": (0, -1, 0), "y": (0, 1, 0), "z": (0, 0, 1)}[up]
    assert not framing.from_origin
    for index in range(4):
        assert share_in_view(means, framing.cameras, index) > 0.95
        rotation = framing.cameras.camera_to_world[index, :3, :3]
        assert torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-5)
        assert float(torch.det(rotation)) == pytest.approx(1.0, abs=1e-5)
        assert float(-rotation[:, 1] @ torch.tensor(axis).float()) > 0.9
        assert float(framing.cameras.centres[index] @ torch.tensor(axis).float()) > 0


def test_a_few_stray_gaussians_do_not_move_the_cameras_far_away() -> None:
    means = torch.cat([box((0.0, 0.0, 0.0)), torch.tensor([[1e4, 0.0, 0.0]])])
    framing = frame_scene(scene_of(means), num=1)
    assert framing.pivot_depth < 10


def test_a_camera_that_looks_at_a_point_has_it_ahead() -> None:
    position, target = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, -1.0, 5.0])
    pose = looking_at(position, target, torch.tensor([0.0, 1.0, 0.0]))
    forward = (target - position) / (target - position).norm()
    assert torch.allclose(pose[:3, 2], forward, atol=1e-6)
    assert float(pose[1, 1]) > 0
