"""The cache along a path in segments: which frames they show, and what the later ones know."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from lyra_data.cache3d import Cache3D, Cache3DParams
from lyra_data.cache3d.cache import CacheRender
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.generation.rollout import CacheRollout
from lyra_data.generation.trajectories import SpiralParams, create_trajectory
from lyra_data.models.depth.base import DepthEstimate
from lyra_data.models.depth.given import GivenDepth, GivenDepthParams
from lyra_data.scene.cameras import Cameras
from tests.factories import make_cameras
from tests.goldens import goldens_or_skip
from tests.ray_cast import MOVING, STILL, Seen, clip_of, moving_cameras, still_camera
from tests.registration import displacements

SEGMENT = 5
NUM_FRAMES = 9


class DistortedDepth:
    """Knows the truth, but tells it at another scale and shift of inverse depth."""

    name: ClassVar[str] = "distorted"
    has_model: ClassVar[bool] = True
    fingerprint = "distorted"

    def __init__(self, truth: Tensor | None = None, *, scale: float = 0.5, shift: float = 0.04):
        self.truth, self.scale, self.shift = truth, scale, shift
        self.asked: list[tuple[Tensor, Tensor | None]] = []

    def run_on(self, placement: Placement) -> None:
        """Runs where it is called."""

    def estimate(self, image: Tensor, intrinsics: Tensor | None) -> DepthEstimate:
        self.asked.append((image, intrinsics))
        assert self.truth is not None, "depth was asked for where it must not be"
        told = 1 / (self.scale / self.truth + self.shift)
        valid = torch.ones_like(told, dtype=torch.bool)
        valid[:3] = False
        told = torch.where(valid, told, 0.0)
        return DepthEstimate(told, valid, "up_to_scale", intrinsics)


def make_params(max_buffers: int = 2) -> Cache3DParams:
    return Cache3DParams(
        filter_threshold=1.0,
        foreground_masking=False,
        splatting="nearest_surface",
        pixel_centre=0.5,
        max_buffers=max_buffers,
    )


def make_rollout(
    cache: Cache3D,
    cameras: Cameras,
    estimator: DistortedDepth | GivenDepth,
    segment_frames: int | None = SEGMENT,
) -> CacheRollout:
    return CacheRollout(
        cache, cameras, segment_frames=segment_frames, estimator=estimator, alignment="rigid"
    )


def path(name: str = "right", num_frames: int = NUM_FRAMES) -> Cameras:
    return create_trajectory(
        name,
        still_camera(),
        num_frames=num_frames,
        movement_distance=0.25,
        centre_depth=3.5,
        rotation="center_facing",
        spiral=SpiralParams(radius_x_factor=0.15, radius_y_factor=0.1, num_circles=2),
        reference_cameras=False,
    )


def still_cache(max_buffers: int = 2) -> Cache3D:
    return Cache3D.from_clip(clip_of(STILL, still_camera(), "still"), make_params(max_buffers))


def continued(
    max_buffers: int = 2,
) -> tuple[CacheRollout, Seen, DistortedDepth, CacheRender, CacheRender, Tensor]:
    """A rollout after both segments; the teacher's last frame is what its camera truly sees."""
    cameras = path()
    truth = STILL.seen(cameras, [0.0] * NUM_FRAMES)
    estimator = DistortedDepth(truth.depth[SEGMENT - 1])
    rollout = make_rollout(still_cache(max_buffers), cameras, estimator)
    first = rollout.first()
    last_frame = truth.frames[SEGMENT - 1].float() / 127.5 - 1
    second = rollout.next(last_frame)
    return rollout, truth, estimator, first, second, last_frame


def video_cache(num_frames: int, height: int = 4, width: int = 6) -> tuple[Cache3D, Cameras]:
    """A video in which each frame is told by its depth."""
    cameras = make_cameras(num_frames, height, width, distance=0.01)
    depth = (2 + 0.01 * torch.arange(num_frames)).reshape(-1, 1, 1).repeat(1, height, width)
    frames = torch.zeros(num_frames, 3, height, width)
    valid = torch.ones_like(depth, dtype=torch.bool)
    return Cache3D.build(frames, depth, valid, cameras, make_params()), cameras


@pytest.mark.parametrize("num_frames", [121, 241, 361])
def test_segments_are_the_reference_s(num_frames: int) -> None:
    """Which cameras each shows, and which of its frames are new."""
    layouts = json.loads((goldens_or_skip() / "gen3c" / "keymap" / "segments.json").read_text())
    segments = layouts["cases"][str(num_frames)]["segments"]
    cache, cameras = video_cache(num_frames)
    rollout = make_rollout(cache, cameras, DistortedDepth(), segment_frames=121)
    assert rollout.num_segments == len(segments)
    nothing = torch.zeros(3, 4, 6)
    for segment in segments:
        start, stop = segment["camera_frames"]
        shown = rollout.next(nothing) if segment["segment"] else rollout.first()
        expected = cache.render(cameras[slice(start, stop)], start_frame=start)
        assert torch.equal(shown.depth, expected.depth)
        kept = start + segment["first_output_frame_kept"]
        assert len(rollout.depth) == stop
        assert torch.equal(rollout.depth[kept:], expected.depth[kept - start :, 0])
    assert len(rollout.depth) == layouts["cases"][str(num_frames)]["output_frames"]


def test_a_video_shows_its_own_frames_and_no_depth_is_estimated() -> None:
    clip = clip_of(MOVING, moving_cameras(NUM_FRAMES), "moving")
    estimator = DistortedDepth()
    rollout = make_rollout(Cache3D.from_clip(clip, make_params()), clip.cameras, estimator)
    shown = [rollout.first(), rollout.next(torch.zeros(3, 96, 128))]
    assert not estimator.asked
    frames = clip.frames.float() / 127.5 - 1
    for part, start in zip(shown, (0, SEGMENT - 1), strict=True):
        own = frames[start : start + SEGMENT]
        known = part.known[:, 0, None].expand_as(own)
        assert torch.equal(part.frames[:, 0][known], own[known])
        assert float(known.float().mean()) > 0.99
    assert torch.equal(rollout.depth, clip.depth)


def test_depth_and_pictures_have_one_entry_per_frame_of_the_path() -> None:
    rollout, *_ = continued()
    assert len(rollout.depth) == len(rollout.pictures) == NUM_FRAMES


def test_the_shared_frame_is_kept_as_the_first_segment_showed_it() -> None:
    rollout, _, _, first, second, _ = continued()
    shared = SEGMENT - 1
    assert torch.equal(rollout.depth[:SEGMENT], first.merged().depth[:, 0])
    assert torch.equal(rollout.depth[SEGMENT:], second.merged().depth[1:, 0])
    assert not torch.equal(rollout.depth[shared], second.merged().depth[0, 0])


def test_the_estimator_sees_the_last_frame_s_bytes_and_its_camera() -> None:
    rollout, truth, estimator, *_ = continued()
    ((image, intrinsics),) = estimator.asked
    assert torch.equal(image, truth.frames[SEGMENT - 1])
    assert intrinsics is not None
    assert torch.equal(intrinsics, path().intrinsics[SEGMENT - 1])
    assert rollout.num_segments == 2


def test_the_last_frame_joins_the_cache_exactly_where_its_camera_says() -> None:
    """Shown from its own camera it comes back bit for bit."""
    _, _, _, _, second, last_frame = continued()
    newest, known = second.frames[0, 0], second.known[0, 0]
    assert float(known.float().mean()) > 0.95
    assert torch.equal(newest[:, known], last_frame[:, known])


def test_a_wrong_scale_and_shift_of_the_estimate_do_not_reach_the_second_segment() -> None:
    _, truth, estimator, _, second, _ = continued()
    told = estimator.estimate(truth.frames[SEGMENT - 1], None).depth
    off = (told / truth.depth[SEGMENT - 1] - 1).abs()[told > 0].median()
    assert float(off) > 0.2
    depth, known = second.depth[:, 0], second.known[:, 0]  # the newest buffer alone
    expected = truth.depth[SEGMENT - 1 :]
    relative = ((depth - expected).abs() / expected)[known & ~truth.at_edge[SEGMENT - 1 :]]
    assert float(relative.median()) < 1e-3
    assert float(relative.quantile(0.95)) < 1e-2


def test_the_second_segment_shows_the_scene_where_its_cameras_see_it() -> None:
    _, truth, _, _, second, _ = continued()
    shown = second.merged()
    pictures = ((shown.frames[:, 0] + 1) * 127.5).round().to(torch.uint8)
    for frame, picture in enumerate(pictures):
        number = SEGMENT - 1 + frame
        counted = shown.known[frame, 0] & ~truth.at_edge[number]
        errors = displacements(picture, truth.frames[number], counted)
        assert len(errors) > 100
        assert float(errors.median()) < 0.1
        assert float(errors.quantile(0.95)) < 0.5


def test_the_second_segment_knows_what_only_the_last_frame_saw() -> None:
    _, _, _, _, second, _ = continued()
    alone = still_cache().render(path()[slice(SEGMENT - 1, NUM_FRAMES)])
    gained = second.merged().known[-1, 0] & ~alone.known[-1, 0]
    assert float(gained.float().mean()) > 0.02
    assert torch.equal(second.known[:, 1], alone.known[:, 0])  # the source, still there


def test_a_full_cache_drops_the_oldest_frame() -> None:
    *_, second, last_frame = continued(max_buffers=1)
    assert second.frames.shape[1] == 1
    known = second.known[0, 0]
    assert torch.equal(second.frames[0, 0][:, known], last_frame[:, known])


@pytest.mark.parametrize("segment_frames", [None, NUM_FRAMES, 121])
def test_a_path_that_fits_is_one_segment(segment_frames: int | None) -> None:
    given = GivenDepth(GivenDepthParams(name="given"))
    rollout = make_rollout(still_cache(), path(), given, segment_frames)
    assert rollout.num_segments == 1
    assert len(rollout.first().frames) == NUM_FRAMES
    with pytest.raises(AssertionError, match="no further segment"):
        rollout.next(torch.zeros(3, 96, 128))


def test_a_path_of_one_frame_is_one_segment() -> None:
    rollout = make_rollout(still_cache(), path(num_frames=1), DistortedDepth(), None)
    assert rollout.num_segments == 1
    assert len(rollout.first().frames) == 1


def test_several_segments_of_a_picture_without_a_depth_estimator_are_refused_at_once() -> None:
    given = GivenDepth(GivenDepthParams(name="given"))
    with pytest.raises(ParamsError, match="9 frames are made in 2 segments"):
        make_rollout(still_cache(), path(), given)
    clip = clip_of(MOVING, moving_cameras(NUM_FRAMES), "moving")
    video = Cache3D.from_clip(clip, make_params())
    assert make_rollout(video, clip.cameras, given).num_segments == 2


def test_values_beyond_the_range_of_colours_are_cut_before_depth_is_told() -> None:
    cameras = path()
    truth = STILL.seen(cameras, [0.0] * NUM_FRAMES)
    estimator = DistortedDepth(truth.depth[SEGMENT - 1])
    rollout = make_rollout(still_cache(), cameras, estimator)
    rollout.first()
    rollout.next(3 * (truth.frames[SEGMENT - 1].float() / 127.5 - 1))
    ((image, _),) = estimator.asked
    assert int(image.min()) == 0
    assert int(image.max()) == 255
