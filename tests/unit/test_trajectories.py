"""Where the cameras of a trajectory are, and where they look."""

from __future__ import annotations

import math

import pytest
import torch

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.generation.trajectories import (
    CAMERA_PATHS,
    MULTI_VIEW_TRAJECTORIES,
    SpiralParams,
    TrajectoryParams,
    create_trajectory,
    draw_movement_distance,
    median_centre_depth,
)
from lyra_data.scene.cameras import Cameras

SPIRAL = SpiralParams(radius_x_factor=0.15, radius_y_factor=0.10, num_circles=2)
LINEAR = sorted(name for name, path in CAMERA_PATHS.items() if not path.is_spiral)
SPIRALS = sorted(name for name, path in CAMERA_PATHS.items() if path.is_spiral)
SHIFT = {"center_facing": 0, "no_rotation": 1, "trajectory_aligned": 2}
CENTRE_DEPTH = 2.5


def source_camera(num_frames: int = 1) -> Cameras:
    """Cameras with a pose of their own, drifting a little."""
    poses = []
    for frame in range(num_frames):
        turn, tilt = 0.4 + 0.02 * frame, -0.3
        about_y = torch.tensor(
            [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
        )
        about_x = torch.tensor(
            [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]]
        )
        pose = torch.eye(4)
        pose[:3, :3] = about_y @ about_x
        pose[:3, 3] = torch.tensor([1.0, -2.0, 0.5 + 0.1 * frame])
        poses.append(pose)
    return Cameras(
        torch.stack(poses), torch.tensor([[50.0, 52.0, 32.0, 24.0]] * num_frames), 48, 64
    )


def trajectory(name: str, source: Cameras | None = None, **changes) -> Cameras:
    settings = {
        "num_frames": 17,
        "movement_distance": 0.3,
        "centre_depth": CENTRE_DEPTH,
        "rotation": "center_facing",
        "spiral": SPIRAL,
        "reference_cameras": False,
    }
    return create_trajectory(
        name, source_camera() if source is None else source, **{**settings, **changes}
    )


def in_source(cameras: Cameras, source: Cameras) -> Cameras:
    return cameras.to(torch.float64).relative_to(source.camera_to_world[0].double())


def angles_off_target(cameras: Cameras, rotation: str) -> torch.Tensor:
    """Angle in radians between each camera's axis and the point it should look at."""
    relative = in_source(cameras, source_camera())
    target = SHIFT[rotation] * relative.centres
    target[:, 2] += CENTRE_DEPTH
    towards = torch.nn.functional.normalize(target - relative.centres, dim=-1)
    sine = torch.linalg.cross(relative.camera_to_world[:, :3, 2], towards).norm(dim=-1)
    return torch.asin(sine.clamp(max=1))


@pytest.mark.parametrize("rotation", SHIFT)
@pytest.mark.parametrize("name", sorted(CAMERA_PATHS))
def test_every_camera_looks_at_its_target(name: str, rotation: str) -> None:
    assert angles_off_target(trajectory(name, rotation=rotation), rotation).max() < 1e-5


def test_cameras_of_the_reference_drift_off_their_target() -> None:
    drift = angles_off_target(trajectory("left", reference_cameras=True), "center_facing")
    assert math.degrees(drift.max()) > 0.5


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_path_reaches_its_full_distance_at_the_last_frame(name: str) -> None:
    centres = in_source(trajectory(name), source_camera()).centres
    lengths = centres.norm(dim=-1)
    assert lengths[-1].item() == pytest.approx(0.3 * CENTRE_DEPTH, rel=1e-5)
    assert torch.allclose(lengths.diff(), lengths[1].expand(16), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("left", (-1, 0, 0)),
        ("right", (1, 0, 0)),
        ("up", (0, -1, 0)),
        ("down", (0, 1, 0)),
        ("zoom_in", (0, 0, 1)),
        ("zoom_out", (0, 0, -1)),
    ],
)
def test_a_path_goes_where_its_name_says(name: str, direction: tuple[int, int, int]) -> None:
    last = in_source(trajectory(name), source_camera()).centres[-1]
    assert torch.allclose(last / last.norm(), torch.tensor(direction).double(), atol=1e-5)


@pytest.mark.parametrize("name", SPIRALS)
def test_a_spiral_goes_round_twice_and_comes_back(name: str) -> None:
    centres = in_source(trajectory(name, num_frames=33), source_camera()).centres
    for frame in (16, 32):
        assert torch.allclose(centres[frame], centres[0], atol=1e-5)
    width = centres[:, 0].max() - centres[:, 0].min()
    height = centres[:, 1].max() - centres[:, 1].min()
    assert width.item() == pytest.approx(2 * 0.15 * 0.3 * CENTRE_DEPTH, rel=1e-4)
    assert height.item() == pytest.approx(2 * 0.10 * 0.3 * CENTRE_DEPTH, rel=1e-4)


def test_clockwise_turns_clockwise_as_seen_by_the_viewer() -> None:
    centres = in_source(trajectory("clockwise", num_frames=33), source_camera()).centres
    x, y = centres[:17, 0], centres[:17, 1]  # y points down, so clockwise has positive area
    area = (x * y.roll(-1) - x.roll(-1) * y).sum() / 2
    assert area > 0


@pytest.mark.parametrize("name", sorted(CAMERA_PATHS))
def test_the_first_camera_is_the_source_camera(name: str) -> None:
    cameras = trajectory(name)
    assert torch.allclose(cameras.camera_to_world[0], source_camera().camera_to_world[0], atol=1e-6)
    assert torch.equal(cameras.intrinsics, source_camera().intrinsics.expand(17, 4))


@pytest.mark.parametrize("name", sorted(CAMERA_PATHS))
def test_a_path_of_one_frame_stays_at_the_source(name: str) -> None:
    cameras = trajectory(name, num_frames=1)
    assert len(cameras) == 1
    assert torch.allclose(cameras.camera_to_world, source_camera().camera_to_world, atol=1e-6)


def test_a_path_is_added_to_the_motion_of_a_video() -> None:
    video = source_camera(17)
    cameras = trajectory("right", video)
    for frame in (0, 8, 16):
        relative = cameras[[frame]].relative_to(video.camera_to_world[frame])
        expected = torch.tensor([0.3 * CENTRE_DEPTH * frame / 16, 0.0, 0.0])
        assert torch.allclose(relative.centres[0], expected, atol=1e-5)


@pytest.mark.parametrize(("name", "distance"), [("zoom_in", 1.0), ("zoom_in", 1.7)])
def test_passing_the_point_looked_at_is_refused(name: str, distance: float) -> None:
    with pytest.raises(ParamsError, match="reach the point it looks at"):
        trajectory(name, movement_distance=distance)


@pytest.mark.parametrize("depth", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_centre_depth_is_refused(depth: float) -> None:
    with pytest.raises(InputError, match="centre depth"):
        trajectory("left", centre_depth=depth)


def test_an_unknown_trajectory_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ParamsError, match=r"did you mean 'zoom_in'\? known: left, right"):
        trajectory("zoom_inn")


def test_every_trajectory_draws_its_own_distance_within_its_range() -> None:
    draws = {
        name: draw_movement_distance(7, "scene", name, total_movement_distance_factor=1.0)
        for name in CAMERA_PATHS
    }
    assert len({draw.seed for draw in draws.values()}) == len(draws)
    for name, draw in draws.items():
        low, high = CAMERA_PATHS[name].distance_range
        assert low <= draw.distance <= high
    fractions = [
        (draw.distance - CAMERA_PATHS[name].distance_range[0])
        / (CAMERA_PATHS[name].distance_range[1] - CAMERA_PATHS[name].distance_range[0])
        for name, draw in draws.items()
    ]
    assert len({round(fraction, 6) for fraction in fractions}) == len(fractions)


def test_seed_scene_and_direction_of_time_each_change_the_distance_and_nothing_else_does() -> None:
    def draw(seed: int = 7, scene: str = "scene", **changes) -> float:
        factor = {"total_movement_distance_factor": 1.0}
        return draw_movement_distance(seed, scene, "left", **{**factor, **changes}).distance

    assert draw() == draw()
    assert draw(total_movement_distance_factor=2.0) == 2 * draw()
    assert len({draw(), draw(seed=8), draw(scene="other"), draw(motion_reversed=True)}) == 4


def test_centre_depth_is_the_median_of_known_depth_alone() -> None:
    depth = torch.tensor([[0.0, 1.0, 2.0], [9.0, 0.0, 0.0]])
    assert median_centre_depth(depth, depth > 0) == 2.0
    with pytest.raises(InputError, match="no depth is known"):
        median_centre_depth(depth, torch.zeros_like(depth, dtype=torch.bool))


def settings(names: list[str]) -> dict:
    return {
        "names": names,
        "rotation": "center_facing",
        "total_movement_distance_factor": 1.0,
        "spiral": SPIRAL.model_dump(),
        "reference_cameras": False,
    }


def test_params_take_the_six_multi_view_trajectories() -> None:
    params = TrajectoryParams.parse(settings(list(MULTI_VIEW_TRAJECTORIES)), where="trajectories")
    assert tuple(params.names) == MULTI_VIEW_TRAJECTORIES


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["left", "rigth"], "did you mean 'right'"),
        (["left", "left"], "named twice"),
        ([], "at least 1 item"),
    ],
)
def test_params_refuse_misspelt_repeated_and_missing_names(names: list, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        TrajectoryParams.parse(settings(names), where="trajectories")
