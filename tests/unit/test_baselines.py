from __future__ import annotations

import pytest
import torch

from lyra_data.cache3d import Cache3DParams
from lyra_data.generation.teachers import TEACHERS
from lyra_data.scene.projection import project
from lyra_model.batches.targets import Targets
from lyra_model.evaluation import fit_baseline
from lyra_model.evaluation.baselines import (
    Viewpoints,
    copy_nearest,
    nearest_frames,
    warp_nearest,
)
from lyra_model.evaluation.fit_baseline import FitBaseline
from lyra_model.metrics.psnr import psnr
from lyra_model.rendering.base import RenderingParams
from tests.factories import make_cameras, make_targets

HEIGHT, WIDTH, NUM_FRAMES = 32, 48, 9

CACHE = Cache3DParams(
    filter_threshold=1.0,
    foreground_masking=False,
    splatting="nearest_surface",
    pixel_centre=0.5,
    max_buffers=1,
)


def still(cameras):
    return Viewpoints(cameras, None)


@pytest.fixture
def teacher():
    params = {"name": "warp", "inpainting": "telea", "radius_pixels": 3}
    return TEACHERS.create(params, where="test")


def test_the_nearest_frame_of_an_input_camera_is_that_input():
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    nearest = nearest_frames(targets, still(targets.cameras))
    assert nearest.indices.tolist() == list(range(NUM_FRAMES))
    assert float(nearest.displacement.max()) < 1e-3


def test_a_camera_past_the_end_is_nearest_to_the_last_input_and_displaced():
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    nearest = nearest_frames(targets[[0, 1, 2, 3]], still(targets.cameras[[8]]))
    assert nearest.indices.tolist() == [3]
    assert float(nearest.displacement) > 0.5


def test_turning_counts_as_much_as_moving():
    """A camera at the same place that looks away is farther than one that moved a little."""
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    turned = torch.eye(4)
    angle = torch.tensor(0.5)
    turned[0, 0] = turned[2, 2] = torch.cos(angle)
    turned[0, 2], turned[2, 0] = torch.sin(angle), -torch.sin(angle)
    cameras = targets.cameras[[0]]
    away = type(cameras)(turned[None], cameras.intrinsics, HEIGHT, WIDTH)
    assert float(nearest_frames(targets[[0]], still(away)).displacement) > 10.0


def test_copying_gives_the_input_picture_untouched():
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    copied = copy_nearest(targets, still(targets.cameras[[5]]))
    assert torch.equal(copied.rgb, targets.rgb[[5]])
    assert torch.equal(copied.depth, targets.depth[[5]])


def test_warping_to_the_same_camera_gives_the_same_picture_where_depth_is_known(teacher):
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    warped = warp_nearest(targets[[0]], still(targets.cameras[[0]]), CACHE, teacher)
    known = targets.depth_valid[0]
    error = (warped.rgb[0] - targets.rgb[0]).abs().amax(0)[known]
    assert float(error.max()) <= 0.5 / 255 + 1e-6
    torch.testing.assert_close(warped.depth[0][known], targets.depth[0][known])


def test_warping_leaves_depth_unknown_where_the_input_shows_nothing(teacher):
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    warped = warp_nearest(targets[[0]], still(targets.cameras[[8]]), CACHE, teacher)
    assert bool((warped.depth == 0).any())
    assert bool(torch.isfinite(warped.rgb).all())


def test_points_project_where_the_camera_sees_them():
    cameras = make_cameras(1, HEIGHT, WIDTH)
    fx, fy, cx, cy = cameras.intrinsics[0].tolist()
    pixel = project(torch.tensor([[0.2, -0.1, 2.0]]), cameras)[0, 0]
    expected = torch.tensor([fx * 0.1 + cx, fy * -0.05 + cy])
    torch.testing.assert_close(pixel, expected)


def test_of_a_moving_scene_the_nearest_frame_shows_the_moment_that_is_asked_for():
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    viewpoints = Viewpoints(targets.cameras[[8, 8]], torch.tensor([2.0, 30.0]))
    assert nearest_frames(targets, still(viewpoints.cameras)).indices.tolist() == [8, 8]
    nearest = nearest_frames(targets, viewpoints)
    assert nearest.indices.tolist() == [2, 8]  # none shows moment 30: the last one is next to it
    assert float(nearest.displacement[0]) > float(nearest.displacement[1])


RENDERING = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 1.0, 1.0),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)


def test_a_scene_is_fitted_once_and_by_more_steps_better():
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    few, many = (
        FitBaseline(targets[:4], RENDERING, steps=steps, device=torch.device("cpu"))
        for steps in (1, 30)
    )
    read = still(targets.cameras[:4])
    gain = psnr(many.predict(read).rgb, targets.rgb[:4]).mean - (
        psnr(few.predict(read).rgb, targets.rgb[:4]).mean
    )
    assert gain > 1.0
    depth = many.predict(read).depth
    known = targets.depth_valid[:4]
    assert float((depth / targets.depth[:4])[known].sub(1).abs().mean()) < 0.1
    assert torch.equal(many.predict(read).rgb, many.predict(read).rgb)


def test_a_moving_scene_is_fitted_to_the_frames_of_the_asked_moment(monkeypatch):
    targets = make_targets(NUM_FRAMES, HEIGHT, WIDTH)
    two_views = Targets.concatenate([targets[:4], targets[:4]])
    moments = []

    def watched(start, read, kept_back, *rest, **more):
        moments.append(read.times.tolist())
        assert kept_back is None
        return fit(start, read, kept_back, *rest, **more)

    fit = fit_baseline.fit
    monkeypatch.setattr(fit_baseline, "fit", watched)
    baseline = FitBaseline(two_views, RENDERING, steps=1, device=torch.device("cpu"))
    asked = Viewpoints(targets.cameras[[5, 6, 7]], torch.tensor([2.0, 2.0, 8.0]))
    assert len(baseline.predict(asked).rgb) == 3
    assert moments == [[2.0, 2.0], [3.0, 3.0]]
