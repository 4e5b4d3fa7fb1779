"""Sparse scenes keep their promises; frames between keyframes are posed, not interpolated."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lyra_data.annotation.structure_from_motion.parallax import chosen_neighbours, largest_angles
from lyra_data.annotation.structure_from_motion.request import SolveAnswer, SolveRequest
from lyra_data.annotation.structure_from_motion.solving import listed, solve_scene
from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene
from lyra_data.scene.cameras import Cameras
from tests.textured_scene import STILL_SET, pose_errors, walking_cameras


def sideways(num_frames: int, step: float) -> SparseScene:
    """Cameras in a row that look at 40 points at depth 2, all seen by all."""
    generator = np.random.Generator(np.random.PCG64(0))
    points = np.concatenate([generator.uniform(-1, 1, (40, 2)), np.full((40, 1), 2.0)], 1)
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    poses[:, 0, 3] = -step * np.arange(num_frames)
    frames = np.repeat(np.arange(num_frames), 40).astype(np.int32)
    return SparseScene(
        world_to_camera=poses,
        intrinsics=np.tile([100.0, 100.0, 64.0, 48.0], (num_frames, 1)),
        points=points,
        observed_frame=frames,
        observed_point=np.tile(np.arange(40), num_frames).astype(np.int32),
        error_pixels=np.zeros(len(frames)),
        by_mapper=np.ones(num_frames, dtype=bool),
    )


def test_angles_grow_with_the_way_of_the_camera() -> None:
    angles = largest_angles(sideways(5, 0.05))
    assert float(np.median(angles)) == pytest.approx(np.degrees(np.arctan(0.2 / 2)), rel=0.25)
    assert float(np.median(largest_angles(sideways(5, 0.0)))) == 0


def test_neighbours_are_neither_the_frame_nor_all_on_one_spot() -> None:
    neighbours = chosen_neighbours(sideways(21, 0.04), 4)
    for frame, chosen in enumerate(neighbours):
        assert len(set(chosen)) == 4
        assert frame not in chosen
    assert min(neighbours[10]) < 10 < max(neighbours[10])
    assert max(neighbours[10]) - min(neighbours[10]) >= 4


def test_a_frame_that_shares_no_points_has_no_neighbours() -> None:
    scene = sideways(3, 0.1)
    alone = scene.observed_frame == 2
    scene.observed_point[alone] = -1
    kept = SparseScene(
        world_to_camera=scene.world_to_camera,
        intrinsics=scene.intrinsics,
        points=scene.points,
        observed_frame=scene.observed_frame[~alone],
        observed_point=scene.observed_point[~alone],
        error_pixels=scene.error_pixels[~alone],
        by_mapper=scene.by_mapper,
    )
    assert chosen_neighbours(kept, 4) == [[1], [0], []]


def test_normalising_changes_no_projection() -> None:
    scene = sideways(4, 0.1)
    turned = scene.normalised()
    for frame in range(4):
        places, depths = scene.projected_in(frame)
        new_places, new_depths = turned.projected_in(frame)
        assert np.allclose(places, new_places)
        assert np.allclose(depths / 2, new_depths)
    assert float(np.median(turned.depths_in(0))) == pytest.approx(1)


def test_a_scene_is_read_as_it_was_saved(tmp_path) -> None:
    scene = sideways(3, 0.1)
    scene.save(tmp_path / "scene.npz")
    again = SparseScene.load(tmp_path / "scene.npz")
    assert np.array_equal(scene.points, again.points)
    assert np.array_equal(scene.observed_frame, again.observed_frame)


def test_requests_and_answers_survive_their_files(tmp_path) -> None:
    request = SolveRequest("incremental", 500, 4, 1, has_cameras=True)
    request.save(tmp_path)
    assert SolveRequest.load(tmp_path) == request
    answer = SolveAnswer("unposed", [3], [10, 20], 2)
    answer.save(tmp_path)
    assert SolveAnswer.load(tmp_path) == answer


def test_frame_numbers_are_listed_as_ranges() -> None:
    assert listed([0, 1, 2, 5, 7, 8]) == "0..2, 5, 7..8"


@pytest.mark.parametrize("num_frames", [1, 40, 65, 73, 96, 97, 122, 150, 200, 500])
def test_keyframes_are_matched_with_one_another(num_frames: int) -> None:
    """65 to 96 frames, and 129 to 224, had keyframes 3, 5, 6 or 7 apart, and no structure ever."""
    request = SolveRequest("incremental", 1000, 8, 0)
    frames = request.keyframes_of(num_frames)
    matched = {2**power for power in range(request.overlap)}
    assert frames.step in matched and frames.step <= request.overlap
    assert len(frames) <= 2 * request.most_keyframes or frames.step == request.overlap


@pytest.mark.slow
def test_frames_three_to_a_keyframe_are_solved() -> None:
    cameras = walking_cameras(9)
    seen = STILL_SET.seen(cameras, [0.0] * 9)
    request = SolveRequest("incremental", 1000, 8, 0, most_keyframes=3)
    scene = solve_scene(seen.frames, request, where="thirds")
    assert scene.by_mapper.tolist() == [True, False] * 4 + [True]


@pytest.mark.slow
def test_frames_between_keyframes_are_posed_from_their_own_pictures() -> None:
    """A camera that jerks sideways in one frame: interpolation could not know."""
    cameras = walking_cameras(9)
    poses = cameras.camera_to_world.clone()
    poses[3, 1, 3] += 0.15
    cameras = Cameras(poses, cameras.intrinsics, cameras.height, cameras.width)
    seen = STILL_SET.seen(cameras, [0.0] * 9)
    request = SolveRequest("incremental", 1000, 8, 0, most_keyframes=5)
    scene = solve_scene(seen.frames, request, where="jerk").normalised()
    assert scene.by_mapper.tolist() == [True, False] * 4 + [True]
    solved = Cameras(
        torch.from_numpy(scene.camera_to_world).float(),
        torch.from_numpy(scene.intrinsics).float(),
        cameras.height,
        cameras.width,
    )
    errors = pose_errors(solved, cameras)
    assert errors.rotation_degrees < 0.3
    assert errors.direction_degrees < 1.5
    assert float(scene.error_pixels.mean()) < 0.5
