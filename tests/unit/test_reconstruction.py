"""Reconstruction: which frames are read, which judge, what is measured, and how videos go."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.frame_selection import FrameSelectionParams
from lyra_data.scene.view import View
from lyra_model.batches.targets import Targets
from lyra_model.fitting.measuring import mean_psnr_db
from lyra_model.fitting.unproject import UnprojectParams, known_beyond
from lyra_model.gaussians import Gaussians
from lyra_model.reconstruction.moments import moment_indices
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.quality import hole_share, reach
from lyra_model.reconstruction.reconstruct import facts_of_making
from lyra_model.reconstruction.scene_source import (
    SceneSource,
    observations_at,
    scene_source,
    still_observations,
    surroundings_of,
)
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from lyra_model.rendering.videos import camera_at, shots_of
from tests.factories import NUM_FRAMES, make_cameras, make_clip, make_view

ALL_FRAMES = FrameSelectionParams(first=0, stride=1, short_clips="refuse")
RENDERING = RenderingParams(
    near=0.1, far=100.0, background=(1, 1, 1), patch_pixels=None, with_ut=False, with_eval3d=False
)


def still_scene() -> SceneSource:
    views = [make_view(view_index=index) for index in range(2)]
    return scene_source(views, clip=make_clip(), frames=ALL_FRAMES)


def moving_scene() -> SceneSource:
    """Two forward views and one of reversed motion, of a video of as many frames."""
    views = [make_view(view_index=index) for index in range(3)]
    views[2] = replace(views[2], motion_reversed=True)
    return scene_source(views, clip=make_clip(num_frames=NUM_FRAMES), frames=ALL_FRAMES)


def wall(size: float = 1.0) -> Gaussians:
    """A wall of Gaussians two metres ahead, `size` metres to each side, without a gap."""
    row, column = torch.meshgrid(*2 * [torch.linspace(-size, size, 41)], indexing="ij")
    means = torch.stack([column, row, torch.full_like(row, 2.0)], dim=-1).reshape(-1, 3)
    return Gaussians(
        means=means,
        scales=torch.full_like(means, size / 20),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(means), 1),
        opacities=torch.full((len(means),), 0.99),
        colors=torch.full_like(means, 0.25),
    )


def camera() -> Cameras:
    return make_cameras(1, 32, 48)


def test_tails_of_a_still_scene_s_views_judge_and_are_not_read() -> None:
    scene = still_scene()
    seen = still_observations(scene, held_out_frames=4, frames_per_view=100)
    assert not scene.moves
    assert (len(seen.read), len(seen.kept_back)) == (2 * 5, 2 * 4)
    first = scene.views[0]
    assert torch.equal(seen.read.rgb[:5], first.frames[:5] / 255)
    assert torch.equal(seen.kept_back.rgb[:4], first.frames[5:] / 255)


def test_fewer_frames_of_a_view_are_read_evenly_from_the_first_to_the_last() -> None:
    scene = still_scene()
    seen = still_observations(scene, held_out_frames=4, frames_per_view=3)
    assert torch.equal(seen.read.rgb[:3], scene.views[0].frames[[0, 2, 4]] / 255)
    assert len(seen.kept_back) == 2 * 4


def test_a_scene_of_which_no_frame_would_be_read_is_refused() -> None:
    with pytest.raises(ParamsError, match="9 held-out frames of views of 9"):
        still_observations(still_scene(), held_out_frames=NUM_FRAMES, frames_per_view=1)


def test_a_moment_is_what_every_view_shows_of_it_and_the_source_s_own_frame() -> None:
    scene, moment = moving_scene(), 2
    seen = observations_at(scene, moment)
    assert scene.clip is not None
    assert torch.equal(seen.read.rgb[0], scene.clip.frames[moment] / 255)
    assert torch.equal(seen.read.rgb[1], scene.views[0].frames[moment] / 255)
    of_reversed = scene.views[2].frames[NUM_FRAMES - 1 - moment]
    assert torch.equal(seen.read.rgb[2], of_reversed / 255)
    assert seen.read.times.tolist() == [moment] * 3
    assert torch.equal(seen.kept_back.rgb[0], scene.views[1].frames[moment] / 255)


def test_what_stands_still_is_taken_from_other_moments_where_nothing_is_yet() -> None:
    scene = moving_scene()
    around = surroundings_of(scene, 2)
    assert around is not None
    assert around.times.tolist() == [1, 3, 0, 4, 5, 6, 7, 8]
    assert scene.clip is not None
    moving = torch.ones_like(scene.clip.depth_valid)
    masked = replace(scene, clip=replace(scene.clip, dynamic_mask=moving))
    nothing = surroundings_of(masked, 2)
    assert nothing is not None
    assert not nothing.depth_valid.any()
    gaussians = wall(0.05)
    params = UnprojectParams()
    more = known_beyond(gaussians, around, params, seed=0)
    assert len(more) > len(gaussians) + 100
    assert torch.equal(more.means[: len(gaussians)], gaussians.means)
    assert len(known_beyond(more, around, params, seed=0)) < len(more) + 20
    assert len(known_beyond(gaussians, nothing, params, seed=0)) == len(gaussians)


def test_moments_run_from_the_first_to_the_last() -> None:
    assert moment_indices(still_scene(), 5) == [0]
    assert moment_indices(moving_scene(), 3) == [0, 4, 8]
    assert moment_indices(moving_scene(), 100) == list(range(NUM_FRAMES))
    assert moment_indices(moving_scene(), 1) == [4]


def test_views_of_several_sizes_are_no_scene() -> None:
    views = [make_view(), make_view(view_index=1, height=32)]
    with pytest.raises(InputError, match="9 frames of 16x24, 9 frames of 32x24"):
        scene_source(views, clip=None, frames=ALL_FRAMES)


def test_without_the_clip_reversed_views_tell_that_a_scene_moves() -> None:
    def of(views: list[View]) -> SceneSource:
        return scene_source(views, clip=None, frames=ALL_FRAMES)

    assert not of([make_view()]).moves
    assert of([make_view(), replace(make_view(view_index=1), motion_reversed=True)]).moves


def test_psnr_is_the_mean_over_frames_and_may_leave_out_what_was_invented() -> None:
    gaussians, cameras = wall(), make_cameras(2, 32, 48)
    truth = render(gaussians, cameras, RENDERING).rgb.clone()
    truth[0] += 0.1  # 20 dB
    truth[1] += 0.01  # 40 dB
    filled = torch.zeros(2, 32, 48, dtype=torch.bool)
    filled[0, :, 10:] = True
    truth[0, :, :, :10] -= 0.09
    targets = Targets(truth, truth[:, 0], filled, cameras, torch.zeros(2), filled)
    assert mean_psnr_db(gaussians, targets[[1]], RENDERING) == pytest.approx(40.0, abs=1e-3)
    judged = mean_psnr_db(gaussians, targets, RENDERING, invented=False)
    assert judged == pytest.approx(40.0, abs=1e-3)
    assert mean_psnr_db(gaussians, targets, RENDERING) < 35
    all_invented = replace(targets, filled=torch.ones_like(filled))
    assert math.isnan(mean_psnr_db(gaussians, all_invented, RENDERING, invented=False))


def test_a_wide_wall_lets_the_camera_move_far_and_a_narrow_one_does_not() -> None:
    wide = reach(wall(8.0), camera(), 2.0, RENDERING)
    narrow = reach(wall(1.05), camera(), 2.0, RENDERING)
    assert hole_share(wall(1.05), camera(), RENDERING) == 0
    assert wide["left"].is_limit
    assert wide["left"].degrees == pytest.approx(45.0)
    assert wide["forwards"].degrees is None
    assert narrow["backwards"].depth_units < 0.2
    assert not narrow["backwards"].is_limit
    assert narrow["forwards"].is_limit


def test_a_moving_scene_has_shots_through_space_through_time_and_through_both() -> None:
    path, filmed = make_cameras(8), make_cameras(NUM_FRAMES)
    video, bullet_time, as_filmed = shots_of(path, filmed, [0, 4, 8])
    assert video.moments == (0, 0, 1, 1, 2, 1, 1, 0)
    assert set(bullet_time.moments) == {1}
    assert torch.equal(as_filmed.cameras.camera_to_world[0], filmed.camera_to_world[0])
    assert torch.allclose(as_filmed.cameras.camera_to_world[4], filmed.camera_to_world[8])
    assert as_filmed.moments == video.moments
    assert torch.allclose(bullet_time.cameras.camera_to_world[0], filmed.camera_to_world[4])
    assert torch.allclose(
        bullet_time.cameras.relative_to(filmed.camera_to_world[4]).camera_to_world,
        path.relative_to(path.camera_to_world[0]).camera_to_world,
        atol=1e-6,
    )
    assert [shot.name for shot in shots_of(path, filmed, [0])] == ["video"]


def test_between_two_frames_a_camera_is_half_way() -> None:
    filmed = make_cameras(3)
    between = camera_at(filmed, torch.tensor([0.5, 2.0]))
    centres = filmed.centres
    assert torch.allclose(between.centres[0], (centres[0] + centres[1]) / 2)
    assert torch.allclose(between.camera_to_world[1], filmed.camera_to_world[2], atol=1e-6)


def test_a_report_names_the_models_that_made_the_views_and_the_state_of_a_guardrail() -> None:
    made = {
        "codec": "cosmos",
        "extension_depth_fingerprint": "moge-1",
        "guardrail": "off",
        "teacher": "gen3c",
        "teacher_fingerprint": "gen3c-2",
    }
    assert facts_of_making({**made, "clip_frames": "1", "source_kind": "picture"}) == made


def test_a_decoder_needs_weights(params: ReconstructParams) -> None:
    with pytest.raises(ParamsError, match="method decoder needs weights"):
        ReconstructParams.parse({**params.model_dump(), "method": "decoder"}, where="reconstruct")


@pytest.fixture
def params() -> ReconstructParams:
    from stages.params import load_section
    from tests.goldens import REPOSITORY

    return load_section(REPOSITORY / "params.yaml", "reconstruct", ReconstructParams)
