"""Camera paths: formats read back, hostile files refused, curves, scales, paths for videos."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lyra_data.camera_paths.built_in import BUILT_IN_PATHS, built_in_path
from lyra_data.camera_paths.fitting import fit_similarity
from lyra_data.camera_paths.formats.colmap import write_colmap_path
from lyra_data.camera_paths.formats.npz import write_npz_path
from lyra_data.camera_paths.laying import Layout, Scene, lay_path
from lyra_data.camera_paths.poses import MOST_POSES, PathPoses, checked_poses
from lyra_data.camera_paths.reading import read_camera_path
from lyra_data.camera_paths.rendering import render_path
from lyra_data.camera_paths.rotations import angles_between, quaternions_of, rotations_of
from lyra_data.camera_paths.splines import resampled
from lyra_data.camera_paths.writing import (
    write_cameras_json,
    write_gen3c_path,
    write_nerfstudio_path,
)
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras, invert_rigid

HEIGHT, WIDTH, FPS = 48, 64, 24.0

WRITERS: dict[str, Callable[[Cameras, Path], None]] = {
    "cameras.json": lambda cameras, path: write_cameras_json(cameras, path, fps=FPS),
    "nerfstudio": lambda cameras, path: write_nerfstudio_path(cameras, path, fps=FPS),
    "gen3c": lambda cameras, path: write_gen3c_path(cameras, path, fps=FPS),
    "npz": lambda cameras, path: write_npz_path(cameras, path, fps=FPS),
    "colmap": write_colmap_path,
}


def rotation(turn: float, tilt: float = 0.0) -> torch.Tensor:
    about_y = torch.tensor(
        [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]],
        dtype=torch.float64,
    )
    about_x = torch.tensor(
        [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]],
        dtype=torch.float64,
    )
    return about_y @ about_x


def winding_path(num_poses: int = 13) -> Cameras:
    """A path that rises, turns by more than half a turn and changes its focal length."""
    poses = torch.eye(4, dtype=torch.float64).repeat(num_poses, 1, 1)
    for index in range(num_poses):
        turn = 0.3 * index
        poses[index, :3, :3] = rotation(turn, 0.1 * math.sin(turn))
        poses[index, :3, 3] = torch.tensor([math.sin(turn), -0.05 * index, 1.5 - math.cos(turn)])
    focal = torch.linspace(40.0, 60.0, num_poses, dtype=torch.float64)
    centre = torch.tensor([WIDTH / 2, HEIGHT / 2], dtype=torch.float64).expand(num_poses, 2)
    return Cameras(poses, torch.cat([focal[:, None].expand(-1, 2), centre], 1), HEIGHT, WIDTH)


def source_camera(num_frames: int = 1) -> Cameras:
    poses = torch.eye(4).repeat(num_frames, 1, 1)
    for index in range(num_frames):
        poses[index, :3, :3] = rotation(0.4 + 0.02 * index, -0.3).float()
        poses[index, :3, 3] = torch.tensor([1.0, -2.0, 0.5 + 0.1 * index])
    return Cameras(poses, torch.tensor([[50.0, 52.0, 30.0, 25.0]]).repeat(num_frames, 1), 48, 64)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_path_that_is_written_and_read_back_is_the_same_to_a_millionth(
    kind: str, tmp_path: Path
) -> None:
    path = winding_path()
    WRITERS[kind](path, tmp_path / "no_name_that_says_anything")
    poses = read_camera_path(tmp_path / "no_name_that_says_anything")
    assert float((poses.camera_to_world - path.camera_to_world).abs().max()) < 1e-6
    assert poses.lens is not None
    assert float((poses.lens[:, :2] * HEIGHT - path.intrinsics[:, :2]).abs().max()) < 1e-6
    assert float(poses.lens[:, 2:].abs().max()) < 1e-6
    if kind == "colmap":
        assert poses.times is None
    else:
        steps = poses.knots[1:] - poses.knots[:-1]
        assert float((steps - 1 / FPS).abs().max()) < 1e-9


@pytest.mark.parametrize("kind", ["cameras.json", "npz", "colmap"])
def test_a_principal_point_off_the_centre_is_kept_where_a_format_has_one(
    kind: str, tmp_path: Path
) -> None:
    path = winding_path()
    path = replace(path, intrinsics=path.intrinsics + torch.tensor([0.0, 1.5, 3.0, -2.0]))
    WRITERS[kind](path, tmp_path / "path")
    laid = render_path(
        tmp_path / "path",
        replace(source_camera(), intrinsics=torch.tensor([[9.0, 9.0, 9.0, 9.0]])),
        centre_depth=2.0,
        num_frames=13,
        fps=FPS,
        sampling="times",
    )
    assert float((laid.intrinsics - path.intrinsics).abs().max()) < 1e-5


def test_all_formats_of_one_path_give_the_same_cameras(tmp_path: Path) -> None:
    path = winding_path()
    laid = {}
    for kind, write in WRITERS.items():
        write(path, tmp_path / kind)
        laid[kind] = [
            render_path(
                tmp_path / kind,
                source_camera(),
                centre_depth=2.0,
                num_frames=33,
                fps=FPS,
                sampling=sampling,
            )
            for sampling in ("uniform", "times")
        ]
    for kind, both in laid.items():
        for mine, expected in zip(both, laid["cameras.json"], strict=True):
            difference = mine.camera_to_world - expected.camera_to_world
            assert float(difference.abs().max()) < 1e-6, kind
            assert float((mine.intrinsics - expected.intrinsics).abs().max()) < 1e-4, kind
    assert not torch.equal(laid["npz"][0].camera_to_world, laid["npz"][1].camera_to_world)


def test_lyra_2_s_own_arrays_are_read(tmp_path: Path) -> None:
    """float32, world-to-camera, intrinsics of another size; as load_trajectory expects them."""
    path = winding_path()
    np.savez(
        tmp_path / "trajectory.npz",
        w2c=path.world_to_camera.numpy().astype(np.float32),
        intrinsics=path.intrinsic_matrices.numpy().astype(np.float32),
        image_height=np.array(HEIGHT),
        image_width=np.array(WIDTH),
    )
    poses = read_camera_path(tmp_path / "trajectory.npz")
    assert float((poses.camera_to_world - path.camera_to_world).abs().max()) < 1e-6
    rotations = poses.camera_to_world[:, :3, :3]
    off = rotations @ rotations.transpose(1, 2) - torch.eye(3, dtype=torch.float64)
    assert float(off.abs().max()) < 1e-12, "float32 rotations are made exact"


def test_a_path_of_gen3c_s_gui_is_the_spline_that_it_draws(tmp_path: Path) -> None:
    """Uniform cubic B-spline: at a key frame (1, 4, 1) / 6 of its neighbours and itself."""
    turn = [0.0, math.sin(0.2), 0.0, math.cos(0.2)]  # x, y, z, w
    frames = [
        {"R": turn, "T": [x, 0.0, 0.0], "fov": 50.0, "timestamp": time}
        for x, time in ((0.0, 1.0), (1.0, 2.0), (4.0, 3.0), (9.0, 4.0))
    ]
    values = {"loop": False, "time": 0.0, "path": frames, "spline_order": 3}
    (tmp_path / "cam.json").write_text(json.dumps(values))
    poses = read_camera_path(tmp_path / "cam.json")
    assert poses.times is not None
    assert poses.times[[0, -1]].tolist() == [0.0, 3.0]
    at_key_frames = [int((poses.times - time).abs().argmin()) for time in (0.0, 1.0, 2.0, 3.0)]
    expected = [1 / 6, (0 + 4 + 4) / 6, (1 + 16 + 9) / 6, (4 + 36 + 9) / 6]
    assert poses.camera_to_world[at_key_frames, 0, 3].tolist() == pytest.approx(expected)
    assert torch.allclose(poses.camera_to_world[5, :3, :3], rotation(0.4))
    for frame in frames:
        frame["up_dir"] = [0.0, -1.0, 0.0]  # Lyra 2's
    (tmp_path / "cam.json").write_text(json.dumps(values))
    ends = read_camera_path(tmp_path / "cam.json").camera_to_world[[0, -1], 0, 3]
    assert ends.tolist() == pytest.approx([0.0, 9.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spline_order": 7}, "spline_order"),
        ({"loop": True}, "loop"),
        ({"path": []}, "key frames"),
        ({"path": [{"R": [0, 0, 0, 1], "T": [0, 0], "fov": 50}]}, "T = "),
        ({"path": [{"R": [0, 0, 0, 1], "T": [0, 0, 1e300], "fov": 50}]}, "T = "),
        ({"path": [{"R": [0, 0, 0, 0], "T": [0, 0, 0], "fov": 50}]}, "R is 0"),
        ({"path": [{"R": [0, 0, 0, 1], "T": [0, 0, 0], "fov": 180}]}, "fov"),
    ],
)
def test_an_impossible_path_of_the_gui_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    frame = {"R": [0, 0, 0, 1], "T": [0, 0, 0], "fov": 50.0, "timestamp": 0}
    file = tmp_path / "cam.json"
    file.write_text(json.dumps({"path": [frame, frame], "spline_order": 1} | change))
    with pytest.raises(InputError, match=words) as caught:
        read_camera_path(file)
    assert "cam.json" in str(caught.value.where) and caught.value.fix


def npz(**arrays: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return write


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None


EYE = np.eye(4)[None].repeat(3, 0)
HUGE = EYE.copy()
HUGE[1, 0, 3] = 1e12
SHEARED = EYE.copy()
SHEARED[2, 0, 1] = 0.5
FIRST_NAN = EYE * np.nan
SIZE = {"image_height": 48, "image_width": 64}


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (text(""), "no known form"),
        (text("hello"), "no known form"),
        (text("{}"), "it is empty"),
        (text('{"a": 1}'), "its keys are a"),
        (text('{"frames": []}'), "nerfstudio dataset"),
        (text('{"camera_path": 3}'), "camera_path is 3"),
        (text('{"camera_path": [{"camera_to_world": [1], "fov": 50}]}'), "camera_to_world"),
        (text('{"camera_path": [], "camera_type": "fisheye"}'), "camera_path is"),
        (text('{"camera_path": [{}], "camera_type": "fisheye"}'), "only a pinhole"),
        (text("[[[1, 0, 0, NaN], [0, 1, 0, 0], [0, 0, 1, 0]]]"), "NaN"),
        (text("[1]"), "camera 0 is 1"),
        (text("[]"), "lists 0 cameras"),
        (text('{"format": "lyra-data cameras", "version": 9}'), "version = 9"),
        (npz(other=EYE), "no poses"),
        (npz(w2c=EYE, c2w=EYE), "several"),
        (npz(w2c=EYE[:, :2]), "shape"),
        (npz(w2c=EYE[:0]), "0 poses"),
        (npz(w2c=HUGE), "position of pose 1"),
        (npz(w2c=SHEARED), "pose 2"),
        (npz(w2c=FIRST_NAN), "impossible number"),
        (npz(w2c=EYE.astype(complex)), "complex"),
        (npz(w2c=EYE, intrinsics=np.eye(3)), "no image_height"),
        (npz(w2c=EYE, intrinsics=np.ones((2, 3, 3)), **SIZE), "intrinsics of shape"),
        (npz(w2c=EYE, intrinsics=np.zeros((3, 4)), **SIZE), "lens of pose 0"),
        (npz(w2c=EYE, intrinsics=np.eye(3), image_height=-4, image_width=3), "height is -4"),
        (npz(w2c=EYE, times=np.zeros(3)), "pose 1 has the time"),
        (npz(w2c=EYE, times=np.array([0, 1, np.inf])), "time of pose 2"),
        (npz(w2c=EYE, times=np.zeros(2)), "times of shape"),
    ],
)
def test_a_file_that_is_no_path_is_refused_with_its_name_and_a_fix(
    write: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    write(tmp_path / "walk")
    with pytest.raises(InputError, match=words) as caught:
        read_camera_path(tmp_path / "walk")
    assert "walk" in str(caught.value.where) and caught.value.fix


def test_more_poses_than_any_video_has_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    npz(w2c=np.zeros((2 * MOST_POSES, 4, 4)))(tmp_path / "walk")
    with pytest.raises(InputError, match="unpacks to"):
        read_camera_path(tmp_path / "walk")


def test_a_missing_file_and_a_folder_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_camera_path(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="no COLMAP model"):
        read_camera_path(tmp_path)


@pytest.mark.slow  # pycolmap's own process
def test_a_binary_model_of_colmap_is_the_same_path(tmp_path: Path) -> None:
    write_colmap_path(winding_path(), tmp_path / "text")
    binary = tmp_path / "binary"
    binary.mkdir()
    code = "import pycolmap, sys; pycolmap.Reconstruction(sys.argv[1]).write_binary(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, tmp_path / "text", binary], check=True)
    for path in (binary, binary / "images.bin"):
        poses, expected = read_camera_path(path), read_camera_path(tmp_path / "text")
        assert float((poses.camera_to_world - expected.camera_to_world).abs().max()) < 1e-6
        assert torch.equal(poses.lens, expected.lens)


def test_a_path_with_a_nul_is_refused_in_words(tmp_path: Path) -> None:
    for path in ("a\0b", str(tmp_path / "a\0b.json")):
        with pytest.raises(InputError, match=r"NUL|no camera path"):
            render_path(path, source_camera(), centre_depth=1.0, num_frames=3, fps=24.0)


# curves


def test_quaternions_are_those_of_the_rotations_and_turn_no_long_way_round() -> None:
    rotations = torch.stack([rotation(0.3 * step, 1.4 * math.sin(step)) for step in range(40)])
    quaternions = quaternions_of(rotations)
    assert float((rotations_of(quaternions) - rotations).abs().max()) < 1e-14
    assert bool(((quaternions[1:] * quaternions[:-1]).sum(-1) > 0).all())
    angles = angles_between(rotations[:1].expand(3, 3, 3), rotations[:3])
    assert float(angles[0]) == 0


def test_a_curve_passes_its_poses_at_their_times() -> None:
    cameras = winding_path(9)
    poses = checked_poses(cameras.camera_to_world, where="here", times=torch.arange(9.0) ** 2)
    spread = resampled(poses, 65, "times", centre_depth=1.0)
    passed = spread.camera_to_world[(torch.arange(9) ** 2).tolist()]
    assert float((passed - cameras.camera_to_world).abs().max()) < 1e-12


def test_uniform_frames_lie_equally_far_apart_whatever_the_times() -> None:
    cameras = winding_path(9)
    poses = checked_poses(cameras.camera_to_world, where="here", times=torch.arange(9.0) ** 2)
    for num_frames in (25, 121):
        centres = resampled(poses, num_frames, "uniform", centre_depth=1.0).camera_to_world[
            :, :3, 3
        ]
        steps = (centres[1:] - centres[:-1]).norm(dim=1)
        assert float(steps.max() / steps.min()) < 1.02
        assert torch.allclose(centres[[0, -1]], cameras.centres[[0, -1]])


def test_a_camera_that_stands_still_and_turns_takes_its_time() -> None:
    """Walks 1, turns by 1 radian on the spot, walks 1."""
    poses = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    poses[1:, 0, 3] = torch.tensor([1.0, 1.0, 2.0]).double()
    poses[2:, :3, :3] = rotation(1.0)
    spread = resampled(PathPoses(poses), 31, "uniform", centre_depth=1.0)
    turned = angles_between(spread.camera_to_world[:-1, :3, :3], spread.camera_to_world[1:, :3, :3])
    assert float(turned.max()) < 0.25, "the turn is no jump"


def test_a_path_without_any_motion_is_the_camera_repeated() -> None:
    poses = PathPoses(torch.eye(4, dtype=torch.float64).repeat(5, 1, 1))
    for sampling in ("uniform", "times"):
        spread = resampled(poses, 9, sampling, centre_depth=1.0)
        assert torch.equal(spread.camera_to_world, poses.camera_to_world[:1].expand(9, 4, 4))
    single = resampled(PathPoses(poses.camera_to_world[:1]), 9, "uniform", centre_depth=1.0)
    assert len(single) == 9


# laying


def laid(anchor: str = "first_camera", scale: str = "metres", lens: str = "source", **changes: Any):
    layout = Layout(scale, anchor, "times", lens, "here")  # type: ignore[arg-type]
    settings = {"source": source_camera(), "centre_depth": 2.5, "is_metric": True} | changes
    fitted_to = settings.pop("fitted_to", None)
    path = winding_path()
    shape = torch.cat([path.intrinsics[:, :2] / HEIGHT, path.intrinsics[:, 2:] * 0], 1)
    poses = PathPoses(path.camera_to_world, shape)
    return path, lay_path(poses, layout, Scene(**settings), num_frames=13, fitted_to=fitted_to)


def test_a_path_begins_at_the_source_s_camera_and_keeps_its_shape() -> None:
    path, cameras = laid()
    source = source_camera()
    assert torch.equal(cameras.camera_to_world[0], source.camera_to_world[0])
    assert torch.equal(cameras.intrinsics, source.intrinsics.expand(13, 4))
    moved = invert_rigid(cameras.camera_to_world[:1]).double() @ cameras.camera_to_world.double()
    expected = invert_rigid(path.camera_to_world[:1]) @ path.camera_to_world
    assert float((moved - expected).abs().max()) < 1e-6


def test_lengths_in_units_of_the_centre_depth_grow_with_it() -> None:
    _, near = laid(scale="centre_depth", centre_depth=1.0)
    _, far = laid(scale="centre_depth", centre_depth=3.0)
    for cameras in (near, far):
        assert torch.equal(cameras.camera_to_world[0], source_camera().camera_to_world[0])
    assert torch.allclose(
        far.centres - far.centres[0], 3 * (near.centres - near.centres[0]), atol=1e-5
    )


def test_a_path_in_metres_is_refused_where_depth_has_no_unit() -> None:
    with pytest.raises(InputError, match="no known unit"):
        laid(is_metric=False)
    laid(is_metric=False, scale="centre_depth")


def test_a_path_is_added_to_a_moving_camera_or_stays_in_the_source_s_world() -> None:
    source = source_camera(13)
    path, moving = laid(anchor="moving_camera", source=source)
    relative = invert_rigid(path.camera_to_world[:1]) @ path.camera_to_world
    expected = source.camera_to_world.double() @ relative
    assert float((moving.camera_to_world - expected).abs().max()) < 1e-6
    _, world = laid(anchor="world", source=source)
    assert torch.allclose(world.camera_to_world, path.camera_to_world.float(), atol=1e-6)


def test_a_zoom_follows_the_path_s_lens_and_a_lens_of_the_file_replaces_the_source_s() -> None:
    path, zoomed = laid(lens="zoom")
    ratio = path.intrinsics[:, :1] / path.intrinsics[:1, :1]
    assert torch.allclose(
        zoomed.intrinsics[:, :2], source_camera().intrinsics[:, :2] * ratio.float()
    )
    assert torch.equal(zoomed.intrinsics[0], source_camera().intrinsics[0])
    _, own = laid(lens="file")
    assert torch.allclose(own.intrinsics, path.intrinsics.float(), atol=1e-5)
    layout = Layout("metres", "first_camera", "times", "zoom", "here")
    scene = Scene(source_camera(), 1.0, True)
    with pytest.raises(InputError, match="says nothing of its lens"):
        lay_path(PathPoses(path.camera_to_world), layout, scene, num_frames=3)


# fitting


def other_world(cameras: Cameras) -> PathPoses:
    """The same cameras in a world that is turned, moved and 4 times as large."""
    turn, shift = rotation(1.1, 0.6), torch.tensor([5.0, -3.0, 2.0]).double()
    poses = cameras.camera_to_world.double().clone()
    poses[:, :3, :3] = turn @ poses[:, :3, :3]
    poses[:, :3, 3] = 4.0 * poses[:, :3, 3] @ turn.T + shift
    return PathPoses(poses)


def test_a_path_of_another_world_is_fitted_to_the_source_s_own_poses() -> None:
    source = winding_path(7)
    similarity = fit_similarity(other_world(source), source, where="here")
    assert similarity.scale == pytest.approx(0.25) and similarity.error < 1e-9
    back = similarity.apply(other_world(source))
    assert float((back.camera_to_world - source.camera_to_world).abs().max()) < 1e-9


def test_a_camera_that_moves_along_a_line_is_enough_to_fit() -> None:
    source = source_camera(5)
    back = fit_similarity(other_world(source), source, where="here").apply(other_world(source))
    assert float((back.camera_to_world - source.camera_to_world).abs().max()) < 1e-5


@pytest.mark.parametrize(
    ("poses", "cameras", "words"),
    [
        (winding_path(7), winding_path(6), "7 poses are to be fitted to a source with 6 frames"),
        (winding_path(1), source_camera(1), "do not move"),
        (winding_path(3), source_camera(1)[[0, 0, 0]], "the source's cameras do not move"),
    ],
)
def test_what_cannot_be_fitted_is_refused(poses: Cameras, cameras: Cameras, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_similarity(PathPoses(poses.camera_to_world.double()), cameras, where="here")


# paths for videos


@pytest.mark.parametrize("name", list(BUILT_IN_PATHS))
def test_a_path_for_videos_starts_and_ends_gently_at_the_source(name: str) -> None:
    source = source_camera()
    cameras = built_in_path(name, source, centre_depth=2.5, num_frames=121)
    for end in (0, -1):
        assert torch.allclose(cameras.camera_to_world[end], source.camera_to_world[0], atol=1e-6)
    steps = (cameras.centres[1:] - cameras.centres[:-1]).norm(dim=1)
    assert float(steps[[0, -1]].max()) < 0.05 * float(steps.max())
    assert float((steps[1:] - steps[:-1]).abs().max()) < 0.2 * float(steps.max()), "no jerk"
    assert torch.equal(cameras.intrinsics, source.intrinsics.expand(121, 4))


@pytest.mark.parametrize(("name", "degrees"), [("orbit", 7.0), ("arc", 20.0)])
def test_the_amplitude_is_the_angle_as_the_centre_sees_it(name: str, degrees: float) -> None:
    source = source_camera()
    centre = source.centres[0] + 2.5 * source.camera_to_world[0, :3, 2]
    cameras = built_in_path(name, source, centre_depth=2.5, num_frames=481, amplitude=degrees)
    spokes = torch.nn.functional.normalize((cameras.centres - centre).double(), dim=-1)
    angles = torch.rad2deg(torch.acos((spokes @ spokes[0]).clamp(-1, 1)))
    assert float(angles.max()) == pytest.approx(degrees, rel=0.01)
    facing = torch.nn.functional.normalize(centre - cameras.centres, dim=-1)
    assert float((facing - cameras.camera_to_world[:, :3, 2]).abs().max()) < 1e-6
    distances = (cameras.centres - centre).norm(dim=1)
    assert torch.allclose(distances, torch.full_like(distances, 2.5), atol=1e-5)


def test_a_dolly_moves_by_its_share_of_the_centre_depth_along_the_view() -> None:
    source = source_camera()
    cameras = built_in_path("dolly", source, centre_depth=2.5, num_frames=101, amplitude=0.4)
    moved = (cameras.centres - source.centres) @ source.camera_to_world[0, :3, 2]
    assert float(moved.max()) == pytest.approx(1.0, abs=1e-5)
    away = built_in_path("dolly", source, centre_depth=2.5, num_frames=101, amplitude=-0.4)
    assert torch.allclose(
        away.centres[50] - source.centres[0], -(cameras.centres[50] - source.centres[0]), atol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "orbits"}, "no camera path 'orbits'"),
        ({"amplitude": 90.0}, "amplitude of 90 degrees"),
        ({"amplitude": 0.0}, "amplitude of 0 degrees"),
        ({"amplitude": math.nan}, "amplitude of nan"),
        ({"name": "dolly", "amplitude": 1.0}, "amplitude of 1 of the centre depth"),
        ({"centre_depth": math.nan}, "centre depth is nan"),
        ({"num_frames": None}, "how many frames"),
    ],
)
def test_an_impossible_path_for_videos_is_refused(changes: dict[str, Any], words: str) -> None:
    settings = {"name": "orbit", "centre_depth": 2.0, "num_frames": 5, "fps": 24.0} | changes
    with pytest.raises(InputError, match=words) as caught:
        render_path(settings.pop("name"), source_camera(), **settings)
    assert caught.value.fix


def test_a_path_with_times_says_how_many_frames_a_video_of_it_has(tmp_path: Path) -> None:
    write_nerfstudio_path(winding_path(), tmp_path / "path.json", fps=12.0)
    along = render_path(
        tmp_path / "path.json", source_camera(), centre_depth=1.0, num_frames=None, fps=24.0
    )
    assert len(along) == 25
    write_colmap_path(winding_path(), tmp_path / "model")
    with pytest.raises(InputError, match="no times"):
        render_path(tmp_path / "model", source_camera(), centre_depth=1, num_frames=None, fps=24)
    with pytest.raises(InputError, match="amplitude"):
        render_path(
            tmp_path / "path.json",
            source_camera(),
            centre_depth=1,
            num_frames=5,
            fps=24,
            amplitude=3,
        )
