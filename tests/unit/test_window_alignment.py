"""Windows that were solved apart are brought into one world by the frames they share."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_data.annotation.alignment import align
from lyra_data.engine.errors import InputError
from lyra_data.scene.clip import Clip
from lyra_data.scene.similarity import Similarity, nearest_rotation
from tests.factories import make_clip


def other_world(scale: float = 2.5, *, turn: float = 0.7) -> Similarity:
    draws = torch.Generator().manual_seed(3)
    axis = turn * torch.nn.functional.normalize(torch.randn(3, generator=draws), dim=0).double()
    skew = torch.linalg.cross(torch.eye(3, dtype=torch.float64), axis.expand(3, 3))
    return Similarity(scale, torch.linalg.matrix_exp(skew), torch.tensor([0.4, -2.0, 5.0]).double())


def walk(num_frames: int = 7) -> Clip:
    return make_clip("walk", num_frames, 32, 48)


def test_the_way_back_is_found() -> None:
    clip = walk()
    moved = clip.moved_by(other_world())
    assert not torch.allclose(moved.cameras.centres, clip.cameras.centres, atol=0.1)
    alignment = align(clip, moved)
    back = moved.moved_by(alignment.similarity)
    torch.testing.assert_close(back.cameras.camera_to_world, clip.cameras.camera_to_world)
    torch.testing.assert_close(back.depth, clip.depth)
    assert alignment.similarity.scale == pytest.approx(1 / 2.5)
    assert alignment.turn_degrees < 1e-3 and alignment.shift < 1e-5 and alignment.spread < 1e-5
    assert "7 shared frames agree to 0.00 degrees" in str(alignment)


def test_a_camera_that_stands_still_tells_the_scale_by_depth() -> None:
    clip = walk().taking([2] * 5)
    alignment = align(clip, clip.moved_by(other_world(0.1)))
    assert alignment.similarity.scale == pytest.approx(10.0)


def test_depth_of_what_moves_is_not_asked() -> None:
    clip = walk()
    mask = torch.zeros_like(clip.depth_valid)
    mask[:, :, :30] = True
    depth = torch.where(mask, clip.depth * 3, clip.depth)
    moved = replace(clip, depth=depth, dynamic_mask=mask)
    assert align(clip, moved).similarity.scale == pytest.approx(1.0)


def test_windows_that_saw_two_structures_are_refused() -> None:
    clip = walk()
    inverted = torch.where(clip.depth_valid, 6.0 / clip.depth.clamp(min=0.1), 0.0)
    with pytest.raises(InputError, match="disagrees with walk about the frames"):
        align(clip, replace(clip, depth=inverted))
    turned = clip.cameras.camera_to_world.clone()
    turned[3:] = torch.eye(4)
    turned[3:, :2, :2] = torch.tensor([[0.96, -0.28], [0.28, 0.96]])
    with pytest.raises(InputError, match="degrees"):
        align(clip, replace(clip, cameras=replace(clip.cameras, camera_to_world=turned)))


def test_little_common_depth_is_refused() -> None:
    clip = walk()
    known = torch.zeros_like(clip.depth_valid)
    known[0, :5, :5] = True
    moved = replace(clip, depth=torch.where(known, 2.0, 0.0), depth_valid=known)
    with pytest.raises(InputError, match="have a depth in both") as caught:
        align(clip, moved)
    assert "annotate.parts.windows.overlap" in str(caught.value.fix)


def test_the_nearest_rotation_is_proper() -> None:
    mirrored = torch.diag(torch.tensor([1.0, 1.0, -1.0])).double()
    assert float(torch.linalg.det(nearest_rotation(mirrored))) == pytest.approx(1.0)
