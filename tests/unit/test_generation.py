from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
import yaml

from lyra_data.clips.store import write_clip
from lyra_data.engine.errors import ParamsError, ScenesFailedError, StorageError
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.engine.seeds import derive_seed
from lyra_data.generation import runner, worker
from lyra_data.generation.costs import read_costs
from lyra_data.generation.jobs import plan_jobs, read_facts
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import Generation, generate_views
from lyra_data.generation.teachers.base import TeacherSpec
from lyra_data.generation.teachers.warp import WarpTeacher
from lyra_data.generation.trajectories import CAMERA_PATHS
from lyra_data.generation.view_making import ViewMaker
from lyra_data.models.codecs import CODECS
from lyra_data.models.depth.given import GivenDepth
from lyra_data.scene.projection import project
from lyra_data.views.dropped import read_dropped
from lyra_data.views.store import read_view, view_files
from tests.factories import make_clip
from tests.generation_stubs import TEACHER, StubMaker, stub_params, write_clips
from tests.goldens import REPOSITORY

HEIGHT, WIDTH = 32, 48


def make_params(**changes) -> GenerateParams:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["generate"]
    return GenerateParams.parse({**values, "num_frames": 9, **changes}, where="generate")


@pytest.fixture(scope="module")
def views():
    """The six views of a still scene, by trajectory."""
    params, clip = make_params(), make_clip(height=HEIGHT, width=WIDTH)
    maker = ViewMaker(params, Placement("cpu"))
    jobs = plan_jobs(clip, params.trajectories, seed=42)
    return clip, {job.trajectory: (job, maker.make(clip, job)) for job in jobs}


def test_a_still_image_has_six_views_and_a_video_six_more_of_reversed_motion():
    names = make_params().trajectories.names
    still = plan_jobs(make_clip(), make_params().trajectories, seed=1)
    moving = plan_jobs(make_clip(num_frames=9), make_params().trajectories, seed=1)
    assert [job.trajectory for job in still] == names
    assert [job.trajectory for job in moving] == names * 2
    assert [job.motion_reversed for job in moving] == [False] * 6 + [True] * 6
    assert [job.view_index for job in moving] == list(range(12))


def test_every_distance_has_a_seed_of_its_own_and_lies_in_its_range():
    jobs = plan_jobs(make_clip(), make_params().trajectories, seed=42)
    assert len({job.distance_seed for job in jobs}) == len(jobs)
    assert len({job.movement_distance for job in jobs}) == len(jobs)
    for job in jobs:
        low, high = CAMERA_PATHS[job.trajectory].distance_range
        assert low <= job.movement_distance <= high


def test_a_view_s_distance_does_not_depend_on_which_other_views_are_asked_for():
    trajectories = make_params().trajectories
    alone = trajectories.model_copy(update={"names": ["zoom_in"]})
    (job,) = plan_jobs(make_clip(), alone, seed=42)
    among = {j.trajectory: j for j in plan_jobs(make_clip(), trajectories, seed=42)}["zoom_in"]
    assert (job.movement_distance, job.distance_seed) == (
        among.movement_distance,
        among.distance_seed,
    )


def test_the_recorded_distance_is_the_one_that_was_moved(views):
    clip, made = views
    centre_depth = float(clip.depth[clip.depth_valid].median())
    for name in ("left", "right", "up", "zoom_in", "zoom_out"):
        job, view = made[name]
        moved = float((view.cameras.centres[-1] - view.cameras.centres[0]).norm())
        assert moved == pytest.approx(job.movement_distance * centre_depth, rel=1e-4)
        assert view.provenance["distance_seed"] == str(job.distance_seed)
        assert view.seed == derive_seed(42, clip.scene_id, f"teacher {name} forward")


def test_every_pixel_is_known_by_the_cache_or_marked_as_filled(views):
    _, made = views
    for _, view in made.values():
        assert bool((view.depth_valid | view.filled)[1:].all())  # frame 0 is the photo
        assert bool((view.depth[~view.depth_valid] == 0).all())


def test_saved_depth_lies_where_the_saved_cameras_say(views):
    """Points of a later frame's depth, seen from the source, have the source's depth there."""
    clip, made = views
    for _, view in made.values():
        camera = view.cameras[[8]]
        rows, columns = torch.nonzero(view.depth_valid[8], as_tuple=True)
        depth = view.depth[8, rows, columns]
        fx, fy, cx, cy = camera.intrinsics[0]
        inside = torch.stack([(columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy], -1)
        points = torch.cat([inside * depth[:, None], depth[:, None]], -1)
        world = points @ camera.camera_to_world[0, :3, :3].T + camera.camera_to_world[0, :3, 3]
        pixels = project(world, clip.cameras)[0]
        x, y = pixels[:, 0].floor().long(), pixels[:, 1].floor().long()
        inside_image = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
        x, y, z = x[inside_image], y[inside_image], world[inside_image, 2]
        known = clip.depth_valid[0, y, x]
        relative = (z[known] - clip.depth[0, y, x][known]).abs() / z[known]
        assert float((relative < 0.02).float().mean()) > 0.9


def test_latents_are_those_of_the_saved_frames(views):
    _, made = views
    codec = CODECS.create({"name": "dct"}, where="test")
    for _, view in made.values():
        video = view.frames.permute(1, 0, 2, 3).float() / 127.5 - 1.0
        assert torch.equal(codec.encode(video), view.latents)


def test_the_key_of_a_view_names_everything_that_shapes_it():
    params, clip = make_params(), make_clip()
    job = plan_jobs(clip, params.trajectories, seed=42)[0]
    prints = ViewMaker(params, Placement("cpu")).fingerprints
    base = KeyMaker(params, prints).view(job, "clip")
    other_cache = make_params(cache={**params.cache.model_dump(), "filter_threshold": 0.05})
    assert KeyMaker(params, prints).view(job, "another clip") != base
    assert KeyMaker(other_cache, prints).view(job, "clip") != base
    assert KeyMaker(make_params(num_frames=17), prints).view(job, "clip") != base
    assert KeyMaker(params, {**prints, "codec_fingerprint": "x"}).view(job, "clip") != base
    frames = {**params.frames.model_dump(), "first": 1}
    assert KeyMaker(make_params(frames=frames), prints).view(job, "clip") != base
    quality = {**params.quality.model_dump(), "min_cache_psnr_db": 1.0}
    assert KeyMaker(make_params(quality=quality), prints).view(job, "clip") == base
    other_job = plan_jobs(clip, params.trajectories, seed=43)[0]
    assert KeyMaker(params, prints).view(other_job, "clip") != base


def test_dropping_a_trajectory_makes_no_other_view_again(tmp_path):
    write_clip(make_clip(height=HEIGHT, width=WIDTH), tmp_path / "clips" / "scene")
    folders = {"clips": tmp_path / "clips", "views": tmp_path / "views", "scratch": tmp_path / "s"}
    trajectories = make_params().trajectories.model_dump()
    two = make_params(trajectories={**trajectories, "names": ["left", "up"]})
    one = make_params(trajectories={**trajectories, "names": ["left"]})
    assert generate_views(two, seed=42, progress=silent, **folders).made == 2
    again = generate_views(one, seed=42, progress=silent, **folders)
    assert (again.made, again.reused) == (0, 1)
    (path,) = view_files(tmp_path / "views")
    assert read_view(path).trajectory == "left"


def test_a_depth_model_that_is_never_asked_is_neither_needed_nor_part_of_a_key():
    """`warp` makes a path of any length at once."""
    clip = make_clip()

    def key(maker: ViewMaker) -> str:
        job = plan_jobs(clip, maker.params.trajectories, seed=42)[0]
        return KeyMaker(maker.params, maker.fingerprints).view(job, "clip")

    extension = make_params().extension.model_dump()
    depth = {"name": "moge", "model": "weights/nowhere", "revision": None, "version": "v1"}
    depth |= {"resolution_level": 9, "half_precision": False, "reference": False}
    plain, moge = (
        ViewMaker(make_params(extension=extension | changes), Placement("cpu"))
        for changes in ({}, {"depth": depth})
    )
    assert "extension_depth_fingerprint" not in moge.fingerprints
    assert key(moge) == key(plain)


def test_the_depth_model_is_part_of_the_key_where_paths_are_longer_than_a_segment(monkeypatch):
    def made(segment_frames: int, prints: str, alignment: str = "rigid") -> tuple[str, str]:
        spec = TeacherSpec(1, 1, segment_frames, max_buffers=64, latent_space=None)
        monkeypatch.setattr(WarpTeacher, "spec", property(lambda _: spec))
        monkeypatch.setattr(GivenDepth, "fingerprint", property(lambda _: prints))
        extension = make_params().extension.model_dump() | {"alignment": alignment}
        maker = ViewMaker(make_params(extension=extension), Placement("cpu"))
        job = plan_jobs(make_clip(), maker.params.trajectories, seed=42)[0]
        told = maker.fingerprints.get("extension_depth_fingerprint", "absent")
        return told, KeyMaker(maker.params, maker.fingerprints).view(job, "clip")

    one_segment = made(9, "depth-1")
    assert one_segment[0] == "absent"
    assert made(9, "depth-2", "non_rigid") == one_segment
    two_segments = made(5, "depth-1")
    assert two_segments[0] == "depth-1"
    assert made(5, "depth-2")[1] != two_segments[1]
    assert made(5, "depth-1", "non_rigid")[1] != two_segments[1]


def test_adding_a_trajectory_makes_no_view_of_a_video_again_and_gives_the_bytes_of_a_fresh_run(
    tmp_path,
):
    write_clip(make_clip(num_frames=9), tmp_path / "clips" / "scene")

    def generate(root: Path, *names: str) -> Generation:
        return generate_views(
            stub_params(*names),
            seed=1,
            clips=tmp_path / "clips",
            views=root / "views",
            scratch=root / ".work",
            progress=silent,
            maker=StubMaker(tmp_path / "log"),
        )

    assert generate(tmp_path / "grown", "left").made == 2
    grown = generate(tmp_path / "grown", "left", "up")
    assert (grown.made, grown.reused) == (2, 2)
    generate(tmp_path / "fresh", "left", "up")
    hashes = sha256_of_files(tmp_path / "fresh" / "views")
    assert "scene/002_left.parquet" in hashes
    assert sha256_of_files(tmp_path / "grown" / "views") == hashes
    found = {path.name: read_view(path) for path in view_files(tmp_path / "grown" / "views")}
    reversed_left = found["002_left.parquet"]
    assert (reversed_left.view_index, reversed_left.motion_reversed) == (2, True)


def test_a_frame_count_that_is_not_8k_plus_1_names_the_nearest_that_are():
    with pytest.raises(ParamsError, match=r"25 and 33"):
        make_params(num_frames=30)


# --- the runner, with a stand-in for the models ---------------------------------------------


class Run:
    """A folder of two scenes, run again and again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / ".work"
        self.views = root / "views"
        write_clips(root / "clips", "a", "b")

    def maker(self, **faults: str) -> StubMaker:
        """`a_left="bug"`: the job a/left fails so. Its log starts empty."""
        log = self.root / "log"
        log.unlink(missing_ok=True)
        return StubMaker(log, {name.replace("_", "/"): kind for name, kind in faults.items()})

    def __call__(self, maker: StubMaker, *, share: float = 0.5, **options) -> Generation:
        return generate_views(
            stub_params("left", "up", max_failed_fraction=share),
            seed=1,
            clips=self.root / "clips",
            views=self.views,
            scratch=self.scratch,
            progress=silent,
            maker=maker,
            **options,
        )

    def stored(self) -> list[str]:
        return [f"{path.parent.name}/{path.name}" for path in view_files(self.views)]


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)


ALL = ["a/left", "a/up", "b/left", "b/up"]


def test_models_are_loaded_once_for_all_jobs_and_not_at_all_when_all_are_finished(run):
    maker = run.maker()
    assert run(maker).made == 4
    assert maker.jobs() == ALL and len(maker.loads()) == 1
    again = run.maker()
    result = run(again)
    assert (result.made, result.reused) == (0, 4)
    assert again.lines() == []


def test_no_clip_is_opened_before_a_view_of_it_is_to_be_made(run, monkeypatch):
    run(run.maker())
    monkeypatch.setattr(worker, "read_clip", lambda folder: pytest.fail("a clip was opened"))
    assert run(run.maker()).reused == 4


def test_the_clip_of_jobs_that_follow_each_other_is_opened_once(run, monkeypatch):
    opened, read = [], worker.read_clip
    monkeypatch.setattr(worker, "read_clip", lambda f: opened.append(f.name) or read(f))
    run(run.maker())
    assert opened == ["a", "b"]


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("input", "InputError", "nothing to see from there"),
        ("bug", "ZeroDivisionError", "ZeroDivisionError: in up"),
    ],
)
def test_a_failed_job_is_recorded_and_not_tried_again_until_told_to(run, fault, kind, reason):
    first = run(run.maker(a_up=fault))
    (failure,) = first.failures
    assert (failure.item, failure.kind) == ("a/up", kind)
    assert failure.reason.startswith(reason)
    assert (first.made, first.known_failures) == (3, 0)
    assert run.stored() == ["a/000_left.parquet", "b/000_left.parquet", "b/001_up.parquet"]
    assert json.loads((run.views / "failures.json").read_text()) == [failure.as_json()]

    mended = run.maker()
    second = run(mended)
    assert second.failures == [failure] and second.known_failures == 1
    assert mended.lines() == []

    third = run(mended, retry_failed=True)
    assert mended.jobs() == ["a/up"]
    assert (third.made, third.reused, third.failures) == (1, 3, [])
    assert len(run.stored()) == 4
    assert run(run.maker()).failures == []


def test_a_failure_that_is_retried_in_vain_is_recorded_anew(run):
    run(run.maker(a_up="input"))
    run(run.maker(a_up="bug"), retry_failed=True)
    assert [failure.kind for failure in run(run.maker()).failures] == ["ZeroDivisionError"]


def test_a_fault_of_the_program_leaves_its_traceback_beside_the_failure(run):
    (failure,) = run(run.maker(a_up="bug")).failures
    place = failure.reason.partition("\nTraceback: ")[2]
    assert "fail_as_bug" in (run.root / place).read_text()


def test_a_failure_that_params_do_not_allow_says_how_to_try_again_and_keeps_the_rest(run):
    with pytest.raises(ScenesFailedError) as caught:
        run(run.maker(a_up="bug"), share=0.0)
    assert "1 of 4 failed" in caught.value.what and "a/up: ZeroDivisionError" in caught.value.what
    assert caught.value.fix is not None and "--retry-failed" in caught.value.fix
    assert not run.views.exists()
    again = run(run.maker(), retry_failed=True)
    assert (again.made, again.reused) == (1, 3)


def test_changed_params_are_tried_though_the_same_view_failed_before(run, monkeypatch):
    run(run.maker(a_up="input"))
    maker = run.maker()
    generate_views(
        stub_params("left", "up", num_frames=17),
        seed=1,
        clips=run.root / "clips",
        views=run.views,
        scratch=run.scratch,
        progress=silent,
        maker=maker,
    )
    assert maker.jobs() == ALL


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("params", ParamsError),
        ("space", StorageError),
        ("memory", RuntimeError),
    ],
)
def test_what_concerns_all_jobs_stops_the_run_and_is_not_recorded(run, fault, error):
    maker = run.maker(b_left=fault)
    with pytest.raises(error):
        run(maker)
    assert maker.jobs() == ["a/left", "a/up", "b/left"]
    again = run(run.maker())
    assert (again.made, again.reused, again.failures) == (2, 2, [])


def test_a_run_in_which_nothing_goes_well_gives_up(run, monkeypatch):
    monkeypatch.setattr(runner, "HOPELESS", 3)
    maker = run.maker(**{name.replace("/", "_"): "bug" for name in ALL})
    with pytest.raises(ScenesFailedError, match="3 of 3 failed"):
        run(maker, share=0.9)
    assert maker.jobs() == ALL[:3]


def test_the_failures_of_both_directions_have_names_of_their_own(tmp_path):
    jobs = plan_jobs(make_clip(num_frames=9), make_params().trajectories, seed=1)
    assert jobs[0].name == "scene/left" and jobs[6].name == "scene/left reversed"
    assert len({job.name for job in jobs}) == len(jobs)


def test_facts_are_those_of_the_clip_and_change_with_it(tmp_path):
    write_clip(make_clip(num_frames=9), tmp_path / "folder")
    facts = read_facts(tmp_path / "folder")
    assert (facts.folder, facts.scene_id, facts.num_frames) == ("folder", "scene", 9)
    assert facts.is_dynamic
    write_clip(make_clip(), tmp_path / "folder")
    other = read_facts(tmp_path / "folder")
    assert not other.is_dynamic and other.content != facts.content


def test_stored_views_are_the_scratch_store_s_own_files_and_damage_to_one_is_mended(run):
    run(run.maker())
    path = view_files(run.views)[0]
    before = path.read_bytes()
    assert path.stat().st_nlink == 2
    path.write_bytes(before[:-1])
    run(run.maker())
    assert view_files(run.views)[0].read_bytes() == before


def test_where_the_file_system_has_no_links_views_are_copied(run, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    run(run.maker())
    assert len(run.stored()) == 4
    assert {path.stat().st_nlink for path in view_files(run.views)} == {1}


def test_finished_views_say_what_they_took(run):
    run(run.maker())
    costs = read_costs(run.scratch / "generate")
    assert len(costs) == 4
    for cost in costs:
        assert (cost.num_frames, cost.height, cost.width) == (9, 16, 24)
        assert cost.teacher_fingerprint == TEACHER and cost.device and cost.seconds >= 0
        assert cost.peak_memory_bytes > 10**7
        assert cost.view_bytes > 1000


def test_views_beyond_a_limit_are_dropped_and_the_reason_is_kept_though_nothing_runs_again(
    run, monkeypatch
):
    limits = stub_params().quality.model_copy(update={"min_cache_psnr_db": 32.0})
    folders = {"clips": run.root / "clips", "views": run.views, "scratch": run.scratch}
    params = stub_params("left", "up", quality=limits.model_dump(), max_failed_fraction=0.5)
    with pytest.raises(ScenesFailedError, match=r"cache_psnr_db = 31\.5"):
        generate_views(params, seed=1, progress=silent, maker=run.maker(), **folders)

    def one_is_good(row, limits):
        return () if row["trajectory"] == "left" else ("blurred",)

    monkeypatch.setattr("lyra_data.generation.quality.assembly.shortfalls", one_is_good)
    for _ in range(2):
        done = run(run.maker())
        assert [(view.scene_id, view.reasons) for view in done.dropped] == [
            ("a", ("blurred",)),
            ("b", ("blurred",)),
        ]
        assert run.stored() == ["a/000_left.parquet", "b/000_left.parquet"]
        assert read_dropped(run.views) == done.dropped
        monkeypatch.undo()


def test_a_scene_that_loses_all_its_views_is_a_failure_and_each_of_them_is_listed(run, monkeypatch):
    def none_of_b(row, limits):
        return () if row["scene_id"] == "a" else ("blurred",)

    monkeypatch.setattr("lyra_data.generation.quality.assembly.shortfalls", none_of_b)
    for _ in range(2):
        done = run(run.maker())
        assert [str(view) for view in done.dropped] == ["b/left: blurred", "b/up: blurred"]
        (failure,) = done.failures
        assert (failure.item, failure.kind) == ("b", "InputError")
        assert failure.reason.splitlines() == [
            "no view is good enough:",
            "  left: blurred",
            "  up: blurred",
        ]
        assert run.stored() == ["a/000_left.parquet", "a/001_up.parquet"]
        assert not (run.views / "b").exists()
        assert read_dropped(run.views) == done.dropped
        assert json.loads((run.views / "failures.json").read_text()) == [failure.as_json()]
        monkeypatch.undo()


def test_a_scene_that_cannot_be_assembled_is_not_among_the_recorded_failures_of_views(
    run, monkeypatch, caplog
):
    def fail(*_):
        raise ZeroDivisionError("in assembly")

    monkeypatch.setattr("lyra_data.generation.quality.assembly.sibling_agreements", fail)
    with pytest.raises(ScenesFailedError, match="a: ZeroDivisionError: in assembly"):
        run(run.maker())
    assert not (run.scratch / "generate_failures").exists()
    assert "def fail" in caplog.text or "in fail" in caplog.text, "the traceback is told"
    monkeypatch.undo()
    assert run(run.maker()).failures == []
