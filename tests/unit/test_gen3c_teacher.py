from __future__ import annotations

import dataclasses

import pytest
import torch
import yaml

from lyra_data.clips.store import write_clip
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.view_making import ViewMaker
from lyra_data.models.depth.base import DepthEstimate
from lyra_data.scene.pixel_values import bytes_from_signed
from lyra_data.views.store import read_view, view_files
from tests.factories import make_clip
from tests.factories_gen3c import tiny_pipeline
from tests.goldens import REPOSITORY

HEIGHT, WIDTH = 32, 48
TEACHER = {
    "name": "gen3c",
    "weights": "weights/gen3c",
    "num_steps": 2,
    "guidance": 1.0,
    "augment_sigma": 0.001,
    "input_frames_guidance": False,
    "segment_frames": 9,
    "use_prompt": False,
    "negative_prompt": "",
    "network_dtype": "float32",
    "layerwise_casting": False,
}
CODEC = {"name": "cosmos", "weights": "weights/gen3c/vae"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    tiny_pipeline(with_text=True).save_pretrained(folder / "weights" / "gen3c")
    return folder


def make_params(*, num_frames=17, teacher=None, **changes) -> GenerateParams:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["generate"]
    return GenerateParams.parse(
        {
            **values,
            "num_frames": num_frames,
            "cache": {**values["cache"], "max_buffers": 2},
            "teacher": {**TEACHER, **(teacher or {})},
            "codec": CODEC,
            # Random weights make no good view.
            "quality": dict.fromkeys(values["quality"]),
            **changes,
        },
        where="generate",
    )


class WallDepth:
    """Tells of every picture the depth of a slanted wall, twice as far as the cache says."""

    name = "wall"
    has_model = True
    fingerprint = "wall"

    def __init__(self):
        self.pictures = []

    def run_on(self, placement):
        """Runs nowhere."""

    def estimate(self, image, intrinsics):
        self.pictures.append(image)
        rows = torch.linspace(0.0, 1.0, image.shape[1])[:, None]
        depth = 2 * (2.5 - 0.5 * rows).expand(*image.shape[1:]).clone()
        return DepthEstimate(depth, torch.ones_like(depth, dtype=torch.bool), "metric", intrinsics)


def make_maker(root, **changes):
    # The estimator's kind is one that could tell depth; a stand-in does.
    maker = ViewMaker(make_params(**changes), Placement("cpu", root=root))
    maker.estimator = WallDepth()
    return maker


def jobs_of(maker, clip):
    return {job.trajectory: job for job in plan_jobs(clip, maker.params.trajectories, seed=42)}


@pytest.fixture(scope="module")
def made(root):
    """A view of two segments, with the maker and the job that made it."""
    maker, clip = make_maker(root), make_clip(height=HEIGHT, width=WIDTH)
    job = jobs_of(maker, clip)["left"]
    return maker, clip, job, maker.make(clip, job)


def test_a_view_of_two_segments_has_every_frame_and_every_latent(made):
    _maker, _, _, view = made
    assert view.frames.shape == (17, 3, HEIGHT, WIDTH)
    assert view.latents.shape == (16, 3, HEIGHT // 8, WIDTH // 8)
    assert view.latents.dtype == torch.float32
    assert view.depth.shape == view.filled.shape == (17, HEIGHT, WIDTH)
    assert len(view.cameras) == 17


def test_the_cache_is_extended_by_the_last_frame_as_it_is_stored(made):
    maker, _, _, view = made
    (picture,) = maker.estimator.pictures
    assert torch.equal(picture, view.frames[8])


def test_every_pixel_the_cache_does_not_show_is_marked_as_filled(made):
    _, _, _, view = made
    assert not bool(view.filled[0].any())
    assert torch.equal(view.filled[1:], ~view.depth_valid[1:])
    assert 0 < float(view.filled[1:].float().mean()) < 1


def test_a_view_s_latents_decode_to_its_first_segment(made):
    maker, _, _, view = made
    video = maker.codec.decode(view.latents[:, :2])
    frames = bytes_from_signed(video.transpose(0, 1))
    assert int((frames.int() - view.frames[:9].int()).abs().max()) <= 1


def test_the_same_job_makes_the_same_bytes_and_another_seed_others(made, root):
    maker, clip, job, view = made
    again = make_maker(root).make(clip, job)
    assert torch.equal(again.frames, view.frames) and torch.equal(again.latents, view.latents)
    other = maker.make(clip, dataclasses.replace(job, teacher_seed=job.teacher_seed + 1))
    assert not torch.equal(other.frames, view.frames)
    assert torch.equal(other.cameras.camera_to_world, view.cameras.camera_to_world)


def test_the_weights_are_loaded_once_for_many_views(made):
    maker, clip, _, _ = made
    before = maker.teacher._loaded()
    maker.make(clip, jobs_of(maker, clip)["up"])
    assert maker.teacher._loaded() is before


def test_prompts_reach_the_network_only_where_they_are_wanted(root):
    clip = make_clip(height=HEIGHT, width=WIDTH)

    def latents(clip, **teacher):
        maker = make_maker(root, num_frames=9, teacher=teacher)
        return maker.make(clip, jobs_of(maker, clip)["left"]).latents

    other = dataclasses.replace(clip, prompt="the wall")
    none = dataclasses.replace(clip, prompt="")
    assert torch.equal(latents(clip), latents(other))
    assert not torch.equal(latents(clip, use_prompt=True), latents(other, use_prompt=True))
    assert torch.equal(latents(none, use_prompt=True), latents(clip))
    negative = latents(clip, use_prompt=True, negative_prompt="the wall")
    assert not torch.equal(negative, latents(clip, use_prompt=True))


def test_views_are_generated_stored_and_reused(root, tmp_path):
    write_clip(make_clip(height=HEIGHT, width=WIDTH), tmp_path / "clips" / "scene")
    trajectories = {**make_params().trajectories.model_dump(), "names": ["left", "zoom_in"]}
    params = make_params(num_frames=9, trajectories=trajectories)
    folders = {name: tmp_path / name for name in ("clips", "views", "scratch")}

    def run():
        return generate_views(params, seed=42, progress=silent, crew=Crew(root=root), **folders)

    assert run().made == 2
    assert run().reused == 2
    views = [read_view(path) for path in view_files(tmp_path / "views")]
    for view in views:
        assert view.frames.shape == (9, 3, HEIGHT, WIDTH)
        assert view.latents.shape == (16, 2, HEIGHT // 8, WIDTH // 8)
        assert view.provenance["teacher"] == "gen3c" and view.provenance["codec"] == "cosmos"
    assert not torch.equal(views[0].latents, views[1].latents)


def test_the_fingerprint_names_the_weights_and_every_setting(root, tmp_path):
    def fingerprint(root=root, **changes):
        teacher = TEACHERS.create({**TEACHER, **changes}, where="test")
        teacher.run_on(Placement("cpu", root=root))
        return teacher.fingerprint

    other = {
        "num_steps": 3,
        "guidance": 2.0,
        "augment_sigma": 0.1,
        "input_frames_guidance": True,
        "segment_frames": 17,
        "use_prompt": True,
        "network_dtype": "bfloat16",
        "layerwise_casting": True,
    }
    found = {fingerprint(**{name: value}) for name, value in other.items()}
    found.add(fingerprint(use_prompt=True, negative_prompt="blur"))
    assert len(found | {fingerprint()}) == len(other) + 2

    tiny_pipeline(seed=1).save_pretrained(tmp_path / "weights" / "gen3c")
    assert fingerprint(root=tmp_path) != fingerprint()


def test_missing_weights_name_the_commands_before_any_view_is_made(tmp_path):
    maker = make_maker(tmp_path)
    with pytest.raises(ParamsError, match=r"weights pull gen3c.*weights convert gen3c"):
        _ = maker.fingerprints


def test_frames_that_do_not_fill_segments_are_refused(root):
    with pytest.raises(ParamsError, match=r"(?s)num_frames = 25.*'gen3c'.*take 17 or 33"):
        make_maker(root, num_frames=25, teacher={"segment_frames": 17})


def test_a_size_that_does_not_fit_is_refused_with_the_nearest(root):
    maker, clip = make_maker(root, num_frames=9), make_clip(height=24, width=WIDTH)
    with pytest.raises(ParamsError, match=rf"take 16x{WIDTH} or 32x{WIDTH} and run"):
        maker.make(clip, jobs_of(maker, clip)["left"])


def test_settings_that_contradict_each_other_are_refused():
    for changes, message in (
        ({"segment_frames": 12}, "nearest are 9 and 17"),
        ({"negative_prompt": "blur"}, "needs use_prompt"),
        ({"num_steps": 0}, "num_steps"),
    ):
        with pytest.raises(ParamsError, match=message):
            TEACHERS.parse({**TEACHER, **changes}, where="generate.teacher")


def test_more_buffers_than_the_network_looks_at_are_refused(root):
    cache = {**make_params().cache.model_dump(), "max_buffers": 3}
    with pytest.raises(ParamsError, match=r"max_buffers = 3, but teacher 'gen3c' looks at 2"):
        make_maker(root, cache=cache)


def test_a_codec_of_other_weights_than_the_teacher_s_is_refused(root):
    tiny_pipeline(seed=1).vae.save_pretrained(root / "weights" / "another")
    maker = make_maker(root, codec={"name": "cosmos", "weights": "weights/another"})
    with pytest.raises(ParamsError, match="name the `vae` folder of the teacher's own weights"):
        _ = maker.fingerprints
