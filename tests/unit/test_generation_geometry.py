"""Every frame of every saved view lies where its saved camera says.

The scene's geometry is known, so each saved frame can be compared with an exact picture from its
saved camera at its moment. Distances are measured by registering windows of 13 pixels around a
dense grid of points; windows that the teacher filled, or that hold a depth edge, do not count.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from torch import Tensor

from lyra_data.engine.placement import Placement
from lyra_data.generation.jobs import Job, plan_jobs
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.trajectories import median_centre_depth
from lyra_data.generation.view_making import ViewMaker
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import reconstruction_psnr
from lyra_data.scene.clip import Clip
from lyra_data.scene.projection import unproject
from lyra_data.scene.view import View
from lyra_data.views.store import read_view, view_path, write_view
from tests.goldens import REPOSITORY
from tests.ray_cast import (
    BALL,
    MOVING,
    STILL,
    Scene,
    Seen,
    clip_of,
    moving_cameras,
    still_camera,
)
from tests.registration import displacements

NUM_FRAMES = 9
HALF_A_PIXEL = 0.5


class MadeView(NamedTuple):
    """A view, what it was made from, and what its cameras truly see at its moments."""

    clip: Clip
    job: Job
    view: View
    truth: Seen


Made = list[MadeView]


def make_params(**changes) -> GenerateParams:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["generate"]
    return GenerateParams.parse({**values, "num_frames": NUM_FRAMES, **changes}, where="generate")


def make_views(clip: Clip, folder: Path, params: GenerateParams) -> Made:
    """Every view of a clip, written and read back."""
    maker = ViewMaker(params, Placement("cpu"))
    made = []
    for job in plan_jobs(clip, params.trajectories, seed=42):
        path = view_path(folder, job.scene_id, job.view_index, job.trajectory)
        path.parent.mkdir(exist_ok=True)
        write_view(path, maker.make(clip, job))
        view = read_view(path)
        truth = scene_of(clip).seen(view.cameras, moments(clip, job))
        made.append(MadeView(clip, job, view, truth))
    return made


@pytest.fixture(scope="module")
def of_video(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Twelve views of a moving ball, filmed by a hand-held camera that zooms."""
    clip = clip_of(MOVING, moving_cameras(NUM_FRAMES), "moving")
    return make_views(clip, tmp_path_factory.mktemp("views"), make_params())


@pytest.fixture(scope="module")
def of_picture(tmp_path_factory: pytest.TempPathFactory) -> Made:
    clip = clip_of(STILL, still_camera(), "still")
    return make_views(clip, tmp_path_factory.mktemp("views"), make_params())


def moments(clip: Clip, job: Job) -> list[float]:
    """The time that each frame of a view shows."""
    forward = [float(frame) if clip.is_dynamic else 0.0 for frame in range(NUM_FRAMES)]
    return forward[::-1] if job.motion_reversed else forward


def scene_of(clip: Clip) -> Scene:
    return MOVING if clip.is_dynamic else STILL


def errors_of(view: View, seen: Seen, where: Tensor | None = None) -> list[Tensor]:
    """Reprojection errors in pixels of every frame, over the points that count."""
    counted = ~view.filled & ~seen.at_edge
    if where is not None:
        counted = counted & where
    return [
        displacements(frame, picture, mask)
        for frame, picture, mask in zip(view.frames, seen.frames, counted, strict=True)
    ]


def worst_frame(errors: list[Tensor], quantile: float) -> float:
    """The largest of all frames' quantiles of the error."""
    assert all(len(each) >= 50 for each in errors), [len(each) for each in errors]
    return max(float(each.sort().values[int(quantile * (len(each) - 1))]) for each in errors)


def test_every_frame_of_a_picture_s_views_lies_where_its_camera_says(of_picture: Made) -> None:
    assert len(of_picture) == 6
    for _, job, view, truth in of_picture:
        errors = errors_of(view, truth)
        assert worst_frame(errors, 0.5) < 0.1, job
        assert worst_frame(errors, 0.95) < HALF_A_PIXEL, job


def test_every_frame_of_a_video_s_views_lies_where_its_camera_says_reversed_or_not(
    of_video: Made,
) -> None:
    assert [made.job.motion_reversed for made in of_video] == [False] * 6 + [True] * 6
    for _, job, view, truth in of_video:
        errors = errors_of(view, truth)
        assert worst_frame(errors, 0.5) < 0.1, job
        assert worst_frame(errors, 0.95) < HALF_A_PIXEL, job


def test_a_reversed_view_with_poses_left_unreversed_would_be_found_out(of_video: Made) -> None:
    """The reference saves flipped clips so."""
    for clip, job, view, _ in of_video[6:]:
        unreversed = view.cameras.camera_to_world.flip(0)
        cameras = replace(view.cameras, camera_to_world=unreversed)
        errors = errors_of(view, MOVING.seen(cameras, moments(clip, job)))
        assert worst_frame(errors, 0.5) > HALF_A_PIXEL, job


def test_a_principal_point_six_tenths_of_a_pixel_off_would_be_found_out(of_picture: Made) -> None:
    for clip, job, view, _ in of_picture:
        moved = view.cameras.intrinsics + torch.tensor([0.0, 0.0, 0.6, 0.0])
        cameras = replace(view.cameras, intrinsics=moved)
        errors = errors_of(view, STILL.seen(cameras, moments(clip, job)))
        assert worst_frame(errors, 0.5) > HALF_A_PIXEL, job


def test_the_moving_ball_is_where_it_was_at_each_frame_s_moment(of_video: Made) -> None:
    for clip, job, view, truth in of_video:
        errors = torch.cat(errors_of(view, truth, truth.surface == BALL))
        assert len(errors) > 50
        assert float(errors.quantile(0.5)) < 0.1, job
        assert float(errors.quantile(0.95)) < 1.0, job  # its rim is magnified threefold
        wrong = MOVING.seen(view.cameras, moments(clip, job)[::-1])
        errors = torch.cat(errors_of(view, wrong, wrong.surface == BALL))
        assert float(errors.quantile(0.5)) > HALF_A_PIXEL, job


def test_a_short_video_s_views_show_it_forwards_and_backwards(tmp_path: Path) -> None:
    """Its own moving camera goes to and fro too, and the path is added to that."""
    clip = clip_of(MOVING, moving_cameras(5), "short")
    trajectories = make_params().trajectories.model_copy(update={"names": ["right"]})
    made = make_views(clip, tmp_path, make_params(trajectories=trajectories.model_dump()))
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    for (_, job, view, _), order in zip(made, (times, times[::-1]), strict=True):
        errors = errors_of(view, MOVING.seen(view.cameras, order))
        assert worst_frame(errors, 0.95) < HALF_A_PIXEL, job
        assert view.provenance["source_frames"] == "0..4, 3..0"
        frames = [int(time) for time in order]
        assert torch.equal(view.cameras.intrinsics, clip.cameras.intrinsics[frames])


def test_saved_depth_is_the_true_depth_at_the_saved_camera(
    of_picture: Made, of_video: Made
) -> None:
    """All but next to edges, which a magnified pixel widens."""
    for _, job, view, truth in of_picture + of_video:
        counted = view.depth_valid & ~widened(truth.at_edge)
        relative = ((view.depth - truth.depth).abs() / truth.depth)[counted]
        assert float((relative < 0.01).float().mean()) > 0.985, job
        assert float(counted.float().mean()) > 0.5


def test_filled_is_where_the_source_did_not_see_the_point(of_picture: Made, of_video: Made) -> None:
    """All but along the border between the two."""
    for clip, job, view, truth in of_picture + of_video:
        times = moments(clip, job)
        cameras, scene = view.cameras.to(torch.float64), scene_of(clip)
        depth = truth.depth.double()
        everywhere = torch.ones_like(depth, dtype=torch.bool)
        points = unproject(depth, everywhere, cameras, pixel_centre=0.5)
        for frame in (3, NUM_FRAMES - 1):
            source = clip.cameras[[int(times[frame])]]
            seen = scene.reaches(source, points[frame], times[frame])[None]
            filled = view.filled[frame][None]
            assert float(filled[~widened(~seen)].float().mean()) < 0.01, (job, frame)
            hidden = ~widened(seen)
            assert int((~filled[hidden]).sum()) <= 0.05 * int(hidden.sum()) + 4, (job, frame)


def widened(mask: Tensor) -> Tensor:
    """True within two pixels of a True one."""
    return torch.nn.functional.max_pool2d(mask[:, None].float(), 5, 1, 2)[:, 0] > 0


def test_saved_intrinsics_are_the_source_s_of_the_same_moment(of_video: Made) -> None:
    for clip, job, view, _ in of_video:
        of_moment = clip.cameras.intrinsics[[int(time) for time in moments(clip, job)]]
        assert torch.equal(view.cameras.intrinsics, of_moment)
        assert not torch.equal(view.cameras.intrinsics, of_moment.flip(0))  # they do vary


def test_a_reversed_view_starts_at_the_video_s_last_frame(of_video: Made) -> None:
    for clip, job, view, _ in of_video:
        index = NUM_FRAMES - 1 if job.motion_reversed else 0
        assert torch.equal(view.frames[0], clip.frames[index])
        pose = clip.cameras.camera_to_world[index]
        assert torch.allclose(view.cameras.camera_to_world[0], pose, atol=1e-6)


def test_latents_are_those_of_the_saved_frames_in_their_order(of_video: Made) -> None:
    codec = CODECS.create({"name": "dct"}, where="test")
    for _, job, view, _ in of_video:
        video = view.frames.permute(1, 0, 2, 3).float() / 127.5 - 1
        assert torch.equal(codec.encode(video), view.latents), job
        assert not torch.allclose(codec.encode(video.flip(1)), view.latents, atol=0.1)
        kept = reconstruction_psnr(codec, video, view.latents)
        assert kept > reconstruction_psnr(codec, video.flip(1), view.latents)


def test_cameras_look_at_the_scene_s_centre_and_go_the_whole_distance(of_picture: Made) -> None:
    for clip, job, view, _ in of_picture:
        centre = median_centre_depth(clip.depth[0], clip.depth_valid[0])
        target = torch.tensor([0.0, 0.0, centre], dtype=torch.float64)  # the source is the world
        poses = view.cameras.camera_to_world.double()
        towards = torch.nn.functional.normalize(target - poses[:, :3, 3], dim=-1)
        off = torch.linalg.cross(poses[:, :3, 2], towards).norm(dim=-1)
        assert float(off.max()) < 1e-5, job
        if job.trajectory != "clockwise":
            reached = float((poses[-1, :3, 3] - poses[0, :3, 3]).norm())
            assert reached == pytest.approx(job.movement_distance * centre, rel=1e-5)


def test_reference_cameras_stop_a_frame_short_and_look_past_the_centre(of_picture: Made) -> None:
    """As documented: (n-1)/n of the distance; the translation is not rotated."""
    clip, job, view, _ = next(each for each in of_picture if each.job.trajectory == "left")
    params = make_params()
    trajectories = params.trajectories.model_copy(update={"reference_cameras": True})
    maker = ViewMaker(params.model_copy(update={"trajectories": trajectories}), Placement("cpu"))
    theirs = maker.make(clip, job).cameras.camera_to_world.double()
    centre = median_centre_depth(clip.depth[0], clip.depth_valid[0])
    reached = float(theirs[-1, :3, 3].norm())
    share = (NUM_FRAMES - 1) / NUM_FRAMES
    assert reached == pytest.approx(share * job.movement_distance * centre, rel=1e-5)
    towards = torch.nn.functional.normalize(
        torch.tensor([0.0, 0.0, centre], dtype=torch.float64) - theirs[-1, :3, 3], dim=0
    )
    off = float(torch.linalg.cross(theirs[-1, :3, 2], towards).norm().asin().rad2deg())
    assert 0.1 < off < 1.0
    assert not torch.equal(theirs, view.cameras.camera_to_world.double())
