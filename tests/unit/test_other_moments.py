"""Holes of a video, filled with what its other moments show there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import yaml

from lyra_data.cache3d import Cache3D
from lyra_data.cache3d.cache import Cache3DParams, CacheRender
from lyra_data.engine.placement import Placement
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.other_moments import other_moments
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.teachers.base import TeacherInput, TeacherOutput
from lyra_data.generation.teachers.warp import WarpTeacher, WarpTeacherParams, fill_from
from lyra_data.generation.view_making import ViewMaker
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.pixel_values import signed_from_bytes
from tests.dataset_scenes import NUM_FRAMES, straight
from tests.goldens import REPOSITORY
from tests.ray_cast import BACKGROUND, Scene

CACHE = Cache3DParams(
    filter_threshold=1.0,
    foreground_masking=False,
    splatting="nearest_surface",
    pixel_centre=0.5,
    max_buffers=1,
)
SURFACES = tuple(
    type(plane)(plane.normal, plane.offset, ord("a") + number)
    for number, plane in enumerate(BACKGROUND)
)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """A camera that goes to the right along walls; nothing moves."""
    cameras = straight((0.9, 0.0, 0.0))
    seen = Scene(SURFACES).seen(cameras, [0.0] * NUM_FRAMES)
    return Clip(
        scene_id="walls",
        frames=seen.frames,
        cameras=cameras,
        depth=seen.depth,
        depth_valid=seen.depth > 0,
        depth_scale="metric",
        fps=24.0,
    )


def behind(clip: Clip) -> Cameras:
    """Cameras a step behind those of the clip: each sees at its left what earlier moments saw."""
    poses = clip.cameras.camera_to_world.clone()
    poses[:, 0, 3] -= 0.1
    return replace(clip.cameras, camera_to_world=poses)


def made(clip: Clip, cameras: Cameras, count: int) -> TeacherOutput:
    shown = Cache3D.from_clip(clip, CACHE).render(cameras)
    teacher = WarpTeacher(
        WarpTeacherParams(name="warp", inpainting="telea", radius_pixels=3, other_moments=count)
    )
    request = TeacherInput(
        image=signed_from_bytes(clip.frames[0]),
        warped=shown.frames,
        known=shown.known,
        depth=shown.depth,
        cameras=cameras,
        fps=clip.fps,
        prompt="",
        seed=0,
        other_moments=partial(other_moments, clip, cameras, CACHE),
    )
    return teacher.generate(request)


def error_in_holes(output: TeacherOutput, cameras: Cameras, frame: int) -> float:
    truth = Scene(SURFACES).seen(cameras[[frame]], [0.0]).frames[0]
    difference = (output.frames[frame].float() - truth.float()).abs().mean(0)
    assert bool(output.filled[frame].any())
    return float(difference[output.filled[frame]].mean())


def test_holes_show_what_other_moments_saw(clip: Clip) -> None:
    cameras = behind(clip)
    inpainted, filled = made(clip, cameras, 0), made(clip, cameras, 9)
    for frame in (4, 8):
        before = error_in_holes(inpainted, cameras, frame)
        assert error_in_holes(filled, cameras, frame) < 0.15 * before
    assert torch.equal(inpainted.filled, filled.filled)  # they stay marked: the cache had them not
    known = ~filled.filled
    assert torch.equal(inpainted.frames.movedim(1, -1)[known], filled.frames.movedim(1, -1)[known])


def test_what_moves_is_left_out(clip: Clip) -> None:
    whole = next(other_moments(clip, clip.cameras, CACHE, 3))
    mask = torch.zeros_like(clip.depth_valid)
    mask[:, :, :64] = True
    moving = replace(clip, dynamic_mask=mask)
    masked = next(other_moments(moving, clip.cameras, CACHE, 3))
    assert not bool(masked.known.all(dim=0).any()) or masked.known.sum() < whole.known.sum()
    assert not bool(masked.known[4, 0, :, :40].any()) and bool(whole.known[4, 0, :, 40:64].any())


def test_moments_come_nearest_first_and_a_cameras_own_is_none_of_them(clip: Clip) -> None:
    numbered = torch.arange(NUM_FRAMES, dtype=torch.uint8).reshape(-1, 1, 1, 1) * 20
    plain = replace(clip, frames=numbered.expand_as(clip.frames).contiguous())
    shown = []
    for moment in other_moments(plain, clip.cameras, CACHE, 5):  # moments 0, 2, 4, 6, 8
        colours = moment.frames[:, 0, 0]
        known = moment.known[:, 0]
        shown.append(
            [round(float((colours[n][known[n]].mean() + 1) * 127.5 / 20)) for n in (0, 3, 4)]
        )
    assert np.array(shown).T.tolist() == [[2, 4, 6, 8, 8], [2, 4, 0, 6, 8], [2, 6, 0, 8, 8]]


def test_another_exposure_is_matched() -> None:
    frames = torch.full((1, 3, 8, 8), 0.0)
    known = torch.zeros(1, 8, 8, dtype=torch.bool)
    known[:, :, :4] = True
    darker = torch.full((1, 1, 3, 8, 8), -0.2)
    moment = CacheRender(darker, torch.ones(1, 1, 8, 8, dtype=torch.bool), torch.ones(1, 1, 8, 8))
    fill_from(moment, frames, known)
    assert bool(known.all())
    assert torch.allclose(frames, torch.zeros(1), atol=0.03)


def test_without_other_moments_all_is_as_it_was() -> None:
    settings = {"name": "warp", "inpainting": "telea", "radius_pixels": 3}
    plain = WarpTeacher(WarpTeacherParams.parse(settings, where="teacher"))
    assert "moments" not in plain.fingerprint
    some = WarpTeacherParams.parse({**settings, "other_moments": 8}, where="teacher")
    assert WarpTeacher(some).fingerprint == f"{plain.fingerprint}, 8 other moments"


def test_views_of_a_video_are_filled_so_and_those_of_a_photo_as_ever(clip: Clip) -> None:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["generate"]
    values |= {"num_frames": NUM_FRAMES}
    values["trajectories"] = values["trajectories"] | {"names": ["left"]}
    for source, is_video in ((clip, True), (clip.taking([0]), False)):
        frames = []
        for count in (0, NUM_FRAMES):
            changed = values | {"teacher": values["teacher"] | {"other_moments": count}}
            params = GenerateParams.parse(changed, where="generate")
            job = plan_jobs(source, params.trajectories, seed=1)[0]
            frames.append(ViewMaker(params, Placement("cpu")).make(source, job).frames)
        assert torch.equal(*frames) != is_video
