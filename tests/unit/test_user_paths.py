"""Views along camera paths of the user's own: entries of params, keys, placing, warnings."""

from __future__ import annotations

import copy
import json
import logging
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from lyra_data.camera_paths.formats.colmap import write_colmap_path
from lyra_data.camera_paths.formats.npz import write_npz_path
from lyra_data.camera_paths.writing import write_gen3c_path, write_nerfstudio_path
from lyra_data.clips.store import write_clip
from lyra_data.engine.errors import InputError, LyraError, ParamsError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.estimate import estimate_clips
from lyra_data.generation.jobs import Job, plan_jobs, read_facts
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import Generation, generate_views
from lyra_data.generation.trajectories import median_centre_depth
from lyra_data.generation.unknown_pixels import unknown_shares
from lyra_data.generation.user_paths import read_user_paths
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from lyra_data.views.store import read_view, view_files
from stages.cli import app
from tests.factories import make_clip
from tests.goldens import REPOSITORY

HEIGHT, WIDTH = 32, 48
FILE = {"name": "file", "path": "inputs/walk", "scale": "metres"}
KEY_POSES = {
    "name": "key_poses",
    "label": "look",
    "scale": "centre_depth",
    "poses": [
        {"position": [0, 0, 0]},
        {"position": [0.1, -0.05, 0.1], "target": [0.0, 0.0, 1.0]},
        {"position": [0.2, 0.0, 0.1], "target": [0.1, 0.0, 1.0]},
    ],
}


def make_params(*names: Any, **changes: Any) -> GenerateParams:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["generate"]
    values["trajectories"]["names"] = copy.deepcopy(list(names))
    values["quality"] = dict.fromkeys(values["quality"])
    return GenerateParams.parse({**values, "num_frames": 9, **changes}, where="generate")


def walk(num_poses: int = 9, length: float = 0.4) -> Cameras:
    """To the right and a little forwards, turning to the left, from somewhere in a world."""
    start = torch.eye(4, dtype=torch.float64)
    start[:3, :3] = turned(0.7)
    start[:3, 3] = torch.tensor([3.0, -1.0, 2.0])
    steps = torch.eye(4, dtype=torch.float64).repeat(num_poses, 1, 1)
    for index in range(num_poses):
        share = index / max(num_poses - 1, 1)
        steps[index, :3, :3] = turned(-0.1 * share)
        steps[index, :3, 3] = torch.tensor([length * share, 0.0, 0.2 * length * share])
    focal = torch.linspace(40.0, 60.0, num_poses, dtype=torch.float64)
    middle = torch.tensor([WIDTH / 2, HEIGHT / 2], dtype=torch.float64).expand(num_poses, 2)
    intrinsics = torch.cat([focal[:, None].expand(-1, 2), middle], dim=1)
    return Cameras(start @ steps, intrinsics, HEIGHT, WIDTH)


def turned(angle: float) -> torch.Tensor:
    rows = [
        [math.cos(angle), 0, math.sin(angle)],
        [0, 1, 0],
        [-math.sin(angle), 0, math.cos(angle)],
    ]
    return torch.tensor(rows, dtype=torch.float64)


def make_view(clip: Clip, params: GenerateParams, root: Path, *, index: int = 0) -> View:
    user_paths = read_user_paths(params.trajectories, root)
    jobs = plan_jobs(clip, params.trajectories, seed=42, user_paths=user_paths)
    return ViewMaker(params, Placement("cpu")).make(clip, jobs[index])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inputs").mkdir()
    write_npz_path(walk(), tmp_path / "inputs" / "walk", fps=24.0)
    return tmp_path


@pytest.fixture(scope="module")
def clip() -> Clip:
    return make_clip(height=HEIGHT, width=WIDTH)


def test_a_view_follows_the_path_of_a_file_from_the_source_s_camera(root: Path, clip: Clip) -> None:
    view = make_view(clip, make_params("left", FILE), root, index=1)
    assert view.trajectory == "walk"
    assert torch.equal(view.cameras.camera_to_world[0], clip.cameras.camera_to_world[0])
    assert torch.equal(view.cameras.intrinsics, clip.cameras.intrinsics.expand(9, 4))
    path = walk().camera_to_world
    expected = clip.cameras.camera_to_world.double() @ invert_rigid(path[:1]) @ path
    assert float((view.cameras.camera_to_world - expected).abs().max()) < 1e-6
    depth = median_centre_depth(clip.depth[0], clip.depth_valid[0])
    assert view.movement_distance == pytest.approx(0.4 * math.sqrt(1.04) / depth, rel=1e-5)
    facts = view.provenance
    assert facts["camera_path"] == (
        "scale metres, anchor first_camera, sampling times, lens source"
    )
    shares = facts["camera_path_unknown"].removesuffix(" %").split(", ")
    assert len(shares) == 9 and "distance_seed" not in facts
    assert float(shares[-1]) == pytest.approx(
        100 * float((view.depth[-1] == 0).float().mean()), abs=0.6
    )


def test_the_formats_of_one_path_give_one_and_the_same_view(root: Path, clip: Clip) -> None:
    folder = root / "inputs"
    write_nerfstudio_path(walk(), folder / "nerfstudio", fps=24.0)
    write_gen3c_path(walk(), folder / "gen3c", fps=24.0)
    write_colmap_path(walk(), folder / "colmap")
    views = {}
    for name in ("walk", "nerfstudio", "gen3c", "colmap"):
        entry = {**FILE, "path": f"inputs/{name}", "sampling": "uniform", "lens": "zoom"}
        views[name] = make_view(clip, make_params(entry), root)
    expected = views.pop("walk")
    for name, view in views.items():
        assert torch.allclose(
            view.cameras.camera_to_world, expected.cameras.camera_to_world, atol=1e-6
        )
        assert torch.allclose(view.cameras.intrinsics, expected.cameras.intrinsics, atol=1e-4)
        # A last bit of a camera decides which side of a pixel's edge a point falls on.
        same = (view.frames == expected.frames).all(dim=1).float().mean()
        assert float(same) > 0.999, name
        assert float((view.depth - expected.depth).abs().median()) == 0


def test_a_zoom_begins_with_the_source_s_lens(root: Path, clip: Clip) -> None:
    view = make_view(clip, make_params({**FILE, "lens": "zoom"}), root)
    assert torch.equal(view.cameras.intrinsics[0], clip.cameras.intrinsics[0])
    assert torch.allclose(view.cameras.intrinsics[-1, :2], 1.5 * clip.cameras.intrinsics[0, :2])


def test_key_poses_are_passed_facing_their_targets_at_an_even_speed(clip: Clip) -> None:
    params = make_params(KEY_POSES, num_frames=97)
    view = make_view(clip, params, Path("nowhere"))
    depth = median_centre_depth(clip.depth[0], clip.depth_valid[0])
    in_source = clip.cameras.world_to_camera[0] @ view.cameras.camera_to_world
    positions = in_source[:, :3, 3] / depth
    assert torch.allclose(in_source[0], torch.eye(4), atol=1e-6)
    for pose in KEY_POSES["poses"]:
        nearest = (positions - torch.tensor(pose["position"]).float()).norm(dim=1).argmin()
        assert torch.allclose(positions[nearest], torch.tensor(pose["position"]).float(), atol=3e-3)
        towards = torch.tensor(pose.get("target", [0.0, 0.0, 1.0])) - positions[nearest]
        towards = torch.nn.functional.normalize(towards, dim=0)
        assert torch.allclose(in_source[nearest, :3, 2], towards, atol=1e-2)
    steps = (positions[1:] - positions[:-1]).norm(dim=1)
    assert float(steps.max() / steps.min()) < 1.02


def test_lengths_in_metres_of_key_poses_face_the_scene_s_centre(clip: Clip) -> None:
    entry = {
        **KEY_POSES,
        "scale": "metres",
        "poses": [{"position": [0, 0, 0]}, {"position": [0.3, 0, 0]}],
    }
    view = make_view(clip, make_params(entry), Path("nowhere"))
    depth = median_centre_depth(clip.depth[0], clip.depth_valid[0])
    last = (clip.cameras.world_to_camera[0] @ view.cameras.camera_to_world)[-1]
    assert torch.allclose(last[:3, 3], torch.tensor([0.3, 0.0, 0.0]), atol=1e-6)
    facing = torch.nn.functional.normalize(torch.tensor([-0.3, 0.0, depth]), dim=0)
    assert torch.allclose(last[:3, 2], facing, atol=1e-6)


# params


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "file", "path": "a.npz"}, "`scale` is missing"),
        ({**FILE, "scale": "feet"}, "scale = 'feet'"),
        ({**FILE, "name": "files"}, "kind 'files'"),
        ({"path": "a.npz"}, "kind None"),
        ({**FILE, "label": "../victim"}, "no name for a view"),
        ({**FILE, "path": "inputs/a b.npz"}, "label 'a b' is no name"),
        ({**FILE, "path": "inputs/left.npz"}, "as a built-in one is"),
        ({**FILE, "label": "up"}, "as a built-in one is"),
        ({**FILE, "path": "a\0b", "label": "x"}, "NUL"),
        ({**FILE, "source_poses": "x"}, "scale: fitted alone"),
        ({**FILE, "speed": 3}, "unknown key generate.trajectories.names.speed"),
        ({**KEY_POSES, "poses": KEY_POSES["poses"][:1]}, "at least 2"),
        ({**KEY_POSES, "poses": KEY_POSES["poses"][1:]}, "is the source's camera"),
        ({**KEY_POSES, "poses": [KEY_POSES["poses"][0]] * 2}, "are the same"),
        ({**KEY_POSES, "scale": "fitted"}, "scale = 'fitted'"),
        (7, "names"),
        (["left"], "names"),
    ],
)
def test_an_impossible_entry_is_refused_before_any_work(entry: Any, words: str) -> None:
    with pytest.raises(ParamsError) as caught:
        make_params("left", entry)
    assert words in caught.value.what + str(caught.value.fix)
    assert caught.value.fix


def test_two_paths_of_one_name_are_refused() -> None:
    with pytest.raises(ParamsError, match="named twice"):
        make_params(FILE, {**FILE, "path": "elsewhere/walk.json"})


def test_entries_survive_params_written_and_read_again() -> None:
    params = make_params("left", FILE, KEY_POSES)
    again = GenerateParams.parse(params.model_dump(mode="json"), where="generate")
    assert again == params
    assert params.trajectories.view_names == ["left", "walk", "look"]


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([[0, 0, 1], [0.1, -5, 0.1]], "straight up or down"),
        ([[0, 0, 1], [0.1, 0, 0.1]], "point it is at"),
    ],
)
def test_key_poses_that_face_nothing_or_straight_up_are_refused(
    targets: list[list[float]], words: str, clip: Clip
) -> None:
    poses = [
        {"position": [0, 0, 0], "target": targets[0]},
        {"position": [0.1, 0, 0.1], "target": targets[1]},
    ]
    with pytest.raises(InputError, match=words):
        make_view(clip, make_params({**KEY_POSES, "poses": poses}), Path("nowhere"))


# keys


def keys_of(params: GenerateParams, root: Path) -> dict[str, str]:
    user_paths = read_user_paths(params.trajectories, root)
    maker = KeyMaker(params, {"teacher": "stub", "teacher_fingerprint": "stub"})
    jobs = plan_jobs(make_clip(), params.trajectories, seed=1, user_paths=user_paths)
    return {job.trajectory: maker.view(job, "clip") for job in jobs}


def test_another_content_of_the_file_is_another_view_and_another_name_of_it_is_none(
    root: Path,
) -> None:
    before = keys_of(make_params("left", FILE, KEY_POSES), root)
    moved = root / "inputs" / "moved.npz"
    (root / "inputs" / "walk").rename(moved)
    renamed = {**FILE, "path": "inputs/moved.npz", "label": "walk"}
    assert keys_of(make_params("left", renamed, KEY_POSES), root) == before
    write_npz_path(walk(length=0.41), moved, fps=24.0)
    changed = keys_of(make_params("left", renamed, KEY_POSES), root)
    assert {name for name, key in changed.items() if key != before[name]} == {"walk"}


@pytest.mark.parametrize(
    "change", [{"scale": "centre_depth"}, {"anchor": "moving_camera"}, {"sampling": "uniform"}]
)
def test_every_setting_of_a_path_is_part_of_its_view_s_key(
    change: dict[str, str], root: Path
) -> None:
    assert keys_of(make_params(FILE), root) != keys_of(make_params({**FILE, **change}), root)


def test_a_changed_file_is_made_again_and_nothing_else(root: Path, clip: Clip) -> None:
    write_clip(clip, root / "clips" / "scene")
    params = make_params("left", FILE)

    def generate() -> Generation:
        folders = {"clips": root / "clips", "views": root / "views", "scratch": root / "scratch"}
        crew = Crew(root=root)
        return generate_views(params, seed=1, progress=silent, crew=crew, **folders)

    assert generate().made == 2
    assert (generate().made, generate().reused) == (0, 2)
    write_npz_path(walk(length=0.2), root / "inputs" / "walk", fps=24.0)
    again = generate()
    assert (again.made, again.reused) == (1, 1)
    views = {read_view(path).trajectory: read_view(path) for path in view_files(root / "views")}
    assert set(views) == {"left", "walk"}
    moved = (views["walk"].cameras.centres[-1] - views["walk"].cameras.centres[0]).norm()
    assert float(moved) == pytest.approx(0.2 * math.sqrt(1.04), rel=1e-4)
    facts = [read_facts(root / "clips" / "scene")]
    settings = {"seed": 1, "scratch": root / "scratch", "root": root, "device_name": None}
    work = estimate_clips(facts, params, **settings).work
    assert (work.num_views, work.finished) == (2, 2)


def test_a_job_reaches_another_process_with_its_path(root: Path) -> None:
    params = make_params(FILE)
    paths = read_user_paths(params.trajectories, root)
    (job,) = plan_jobs(make_clip(), params.trajectories, seed=1, user_paths=paths)
    again: Job = pickle.loads(pickle.dumps(job))
    assert again.as_json() == job.as_json() and again.user_path is not None
    assert json.dumps(job.as_json())


# scenes


def test_a_path_in_metres_fails_the_views_of_a_scene_without_unit(root: Path, clip: Clip) -> None:
    unknown = replace(clip, depth_scale="up_to_scale")
    with pytest.raises(InputError, match="no known unit") as caught:
        make_view(unknown, make_params(FILE), root)
    assert "walk" in str(caught.value.where)
    make_view(unknown, make_params({**FILE, "scale": "centre_depth"}), root)


def test_a_path_in_the_source_s_world_must_begin_at_its_camera(root: Path, clip: Clip) -> None:
    with pytest.raises(InputError, match=r"the path begins .* from the source's first camera"):
        make_view(clip, make_params({**FILE, "anchor": "world"}), root)


def test_a_path_of_another_world_is_fitted_to_the_source_s_own_poses(root: Path) -> None:
    """The path goes on from the source's poses, in a world that is 4 times as large."""
    video = make_clip(num_frames=9, height=HEIGHT, width=WIDTH)
    other = torch.eye(4, dtype=torch.float64)
    other[:3, :3], other[:3, 3] = turned(1.2), torch.tensor([7.0, 1.0, -2.0])

    def elsewhere(cameras: Cameras) -> Cameras:
        poses = cameras.camera_to_world.double().clone()
        poses[:, :3, 3] *= 4.0
        return replace(cameras, camera_to_world=other @ poses)

    write_npz_path(elsewhere(video.cameras), root / "inputs" / "source.npz")
    path = video.cameras.to(torch.float64)
    rising = path.camera_to_world.clone()
    rising[:, 1, 3] -= 0.1 * torch.arange(9) / 8
    write_npz_path(elsewhere(replace(path, camera_to_world=rising)), root / "inputs" / "walk")
    entry = {**FILE, "scale": "fitted", "anchor": "world", "source_poses": "inputs/source.npz"}
    params = make_params({**entry, "sampling": "times"})
    view = make_view(video, params, root)
    assert float((view.cameras.camera_to_world - rising).abs().max()) < 1e-5
    # Played backwards, such a path begins at the video's last frame.
    rising = rising.clone()
    rising[:, 1, 3] = path.camera_to_world[:, 1, 3] - 0.1 * torch.arange(8, -1, -1) / 8
    write_npz_path(elsewhere(replace(path, camera_to_world=rising)), root / "inputs" / "walk")
    view = make_view(video, params, root, index=1)
    assert view.motion_reversed
    assert float((view.cameras.camera_to_world - rising.flip(0)).abs().max()) < 1e-5


def test_a_still_image_has_no_poses_to_fit_to(root: Path, clip: Clip) -> None:
    with pytest.raises(InputError, match="9 poses are to be fitted to a source with 1 frames"):
        make_view(clip, make_params({**FILE, "scale": "fitted"}), root)


def test_a_path_is_added_to_a_video_s_own_motion(root: Path) -> None:
    video = make_clip(num_frames=9, height=HEIGHT, width=WIDTH)
    view = make_view(video, make_params({**FILE, "anchor": "moving_camera"}), root)
    relative = invert_rigid(walk().camera_to_world[:1]) @ walk().camera_to_world
    expected = video.cameras.camera_to_world.double() @ relative
    assert float((view.cameras.camera_to_world - expected).abs().max()) < 1e-6


def test_a_path_that_leaves_the_known_scene_is_warned_of_with_its_unknown_shares(
    root: Path, clip: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        make_view(clip, make_params(FILE), root)
        assert not caplog.records
        make_view(clip, make_params({**FILE, "scale": "centre_depth", "label": "far"}), root)
        write_npz_path(walk(length=2.5), root / "inputs" / "walk")
        make_view(clip, make_params(FILE), root)
    (record,) = [r for r in caplog.records if "scene/walk" in r.getMessage()]
    text = record.getMessage()
    assert "leaves the known scene" in text and "of frame 8 are unknown" in text
    listed = text.partition("along the path: ")[2].partition(" %")[0].split(", ")
    assert len(listed) == 9 and int(listed[-1]) > int(listed[0]) + 30


def test_the_share_of_unknown_pixels_counts_what_no_buffer_knows() -> None:
    known = torch.zeros(2, 3, 4, 5, dtype=torch.bool)
    known[0, 0, 0], known[0, 2, 1] = True, True
    assert unknown_shares(known) == [0.5, 1.0]


# files


def test_a_file_outside_of_inputs_is_said_to_be_watched_by_nobody(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_npz_path(walk(), root / "elsewhere.npz")
    params = make_params({**FILE, "path": "elsewhere.npz"}, FILE)
    with caplog.at_level(logging.WARNING):
        read_user_paths(params.trajectories, root)
    (record,) = caplog.records
    assert (
        "elsewhere.npz" in record.getMessage() and "only inputs/ is watched" in record.getMessage()
    )


def test_check_params_finds_a_missing_and_a_broken_file(tmp_path: Path) -> None:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    file = tmp_path / "params.yaml"

    def check(*names: Any) -> Any:
        values["generate"]["trajectories"]["names"] = list(names)
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        return CliRunner().invoke(app, ["check-params", "--params", str(file)])

    missing = check("left", FILE)
    assert missing.exit_code == 2 and "no such file" in missing.output
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "walk").write_text('{"camera_path": [{"fov": "wide"}]}')
    broken = check("left", FILE)
    assert broken.exit_code == 2 and "camera_to_world" in broken.output
    write_npz_path(walk(), tmp_path / "inputs" / "walk")
    assert check("left", FILE, KEY_POSES).exit_code == 0


def test_bad_files_are_lyra_errors_however_they_are_bad(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    for content in (b"PK\x03\x04", b"\x93NUMPY", b"{", b"[" * 100_000, b'{"path": [1]}'):
        (tmp_path / "inputs" / "walk").write_bytes(content)
        with pytest.raises(LyraError) as caught:
            read_user_paths(make_params(FILE).trajectories, tmp_path)
        assert "walk" in str(caught.value.where)
