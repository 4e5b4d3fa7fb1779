from __future__ import annotations

import pytest
import torch
import yaml

from lyra_data.clip_store import write_clip
from lyra_data.codecs import CODECS
from lyra_data.errors import ParamsError
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views, view_key
from lyra_data.generation.view_making import ViewMaker
from lyra_data.placement import Placement
from lyra_data.progress import silent
from lyra_data.seeds import derive_seed
from lyra_data.trajectories import CAMERA_PATHS
from lyra_data.view_store import read_view, view_files
from lyra_model.baselines import project
from tests.factories import make_clip
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
    base = view_key(job, params, "clip", prints)
    other_cache = make_params(cache={**params.cache.model_dump(), "filter_threshold": 0.05})
    assert view_key(job, params, "another clip", prints) != base
    assert view_key(job, other_cache, "clip", prints) != base
    assert view_key(job, make_params(num_frames=17), "clip", prints) != base
    assert view_key(job, params, "clip", {**prints, "codec_fingerprint": "x"}) != base
    other_job = plan_jobs(clip, params.trajectories, seed=43)[0]
    assert view_key(other_job, params, "clip", prints) != base


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


def test_a_frame_count_that_is_not_8k_plus_1_names_the_nearest_that_are():
    with pytest.raises(ParamsError, match=r"25 and 33"):
        make_params(num_frames=30)
