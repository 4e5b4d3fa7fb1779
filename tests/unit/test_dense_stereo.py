"""Dense stereo with true cameras: right where it is known, unknown where it cannot be told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lyra_data.annotation.dense_stereo.agreement_kernels import count_agreeing
from lyra_data.annotation.dense_stereo.depth_of_frames import DenseSettings, dense_depth, specks_in
from lyra_data.annotation.dense_stereo.patch_match import Seeds
from lyra_data.annotation.dense_stereo.patch_match_kernels import _cost_in
from lyra_data.annotation.dense_stereo.views import StereoViews
from tests.textured_scene import STILL_SET, walking_cameras

HEIGHT, WIDTH, NUM_FRAMES = 96, 128, 5
SETTINGS = DenseSettings(
    least_correlation=0.5, least_agreeing=2, largest_distance=1.5, largest_ratio=0.02
)
NEIGHBOURS = [[1, 2, 3], [0, 2, 3], [0, 1, 3, 4], [1, 2, 4], [1, 2, 3]]


@pytest.fixture(scope="module")
def true_depth() -> np.ndarray:
    cameras = walking_cameras(NUM_FRAMES, height=HEIGHT, width=WIDTH)
    return STILL_SET.seen(cameras, [0.0] * NUM_FRAMES).depth.numpy()


@pytest.fixture(scope="module")
def views() -> StereoViews:
    cameras = walking_cameras(NUM_FRAMES, height=HEIGHT, width=WIDTH)
    frames = STILL_SET.seen(cameras, [0.0] * NUM_FRAMES).frames.permute(0, 2, 3, 1).numpy()
    return StereoViews(
        np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]),
        cameras.intrinsics.double().numpy(),
        cameras.world_to_camera.double().numpy(),
    )


@pytest.fixture(scope="module")
def seeds(true_depth: np.ndarray) -> list[Seeds]:
    """True depth at 60 places a frame."""
    generator = np.random.Generator(np.random.PCG64(0))
    found = []
    for depth in true_depth:
        rows = generator.integers(0, HEIGHT, 60)
        columns = generator.integers(0, WIDTH, 60)
        found.append(Seeds(np.stack([columns, rows], -1) + 0.5, depth[rows, columns].astype(float)))
    return found


def test_known_depth_is_right(
    views: StereoViews, seeds: list[Seeds], true_depth: np.ndarray
) -> None:
    found = dense_depth(views, NEIGHBOURS, seeds, SETTINGS)
    known = found.depth > 0
    errors = np.abs(found.depth - true_depth)[known] / true_depth[known]
    assert known.mean() > 0.5
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.9) < 0.05
    assert (found.confidence[~known] == 0).all()


def test_the_number_of_threads_changes_no_byte(
    views: StereoViews, seeds: list[Seeds], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dense_depth(views, NEIGHBOURS, seeds, SETTINGS)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    other = dense_depth(views, NEIGHBOURS, seeds, SETTINGS)
    assert np.array_equal(one.depth, other.depth)
    assert np.array_equal(one.confidence, other.confidence)


def test_a_flat_picture_tells_no_depth(views: StereoViews, seeds: list[Seeds]) -> None:
    flat = StereoViews(np.full_like(views.grey, 80), views.intrinsics, views.world_to_camera)
    assert (dense_depth(flat, NEIGHBOURS, seeds, SETTINGS).depth == 0).all()


def test_a_frame_without_neighbours_or_points_has_no_depth(
    views: StereoViews, seeds: list[Seeds]
) -> None:
    lonely = [*NEIGHBOURS[:4], []]
    pointless = [Seeds(np.empty((0, 2)), np.empty(0)), *seeds[1:]]
    found = dense_depth(views, lonely, pointless, SETTINGS)
    assert (found.depth[4] == 0).all()
    assert (found.depth[0] == 0).all()
    assert (found.depth[2] > 0).any()


def test_a_pixel_leads_to_where_its_point_is_seen(
    views: StereoViews, true_depth: np.ndarray
) -> None:
    turn, shift = views.way(0, 3)
    x, y = 70, 40
    x_h, y_h, z_h = turn @ [x + 0.5, y + 0.5, 1] + shift / true_depth[0, y, x]
    back_turn, back_shift = views.way(3, 0)
    depth_there = z_h * true_depth[0, y, x]
    back = back_turn @ [x_h / z_h, y_h / z_h, 1] + back_shift / depth_there
    assert back[:2] / back[2] == pytest.approx([x + 0.5, y + 0.5])
    assert true_depth[3, int(y_h / z_h), int(x_h / z_h)] == pytest.approx(depth_there, rel=0.02)


def test_true_depth_is_confirmed_and_depth_ten_percent_off_is_not(
    views: StereoViews, true_depth: np.ndarray
) -> None:
    for factor, least, most in ((1.0, 0.7, 1.0), (1.1, 0.0, 0.05)):
        votes = np.zeros(views.size, np.uint8)
        depth = (true_depth[1] * factor).astype(np.float32)
        ways = (*views.way(1, 2), *views.way(2, 1))
        count_agreeing(depth, true_depth[2], *ways, 1.5, 0.02, votes)
        assert least <= votes.mean() <= most


def test_halving_keeps_the_field_of_view(views: StereoViews) -> None:
    half = views.halved()
    assert half.size == (HEIGHT // 2, WIDTH // 2)
    assert np.allclose(half.intrinsics * 2, views.intrinsics)


def test_small_islands_of_depth_are_specks_and_slopes_are_not() -> None:
    depth = np.full((100, 200), 2.0, np.float32)
    depth[:, :50] = 0
    depth[10, 10], depth[20:24, 10:12] = 1.0, 3.0
    depth[40:60, 10:30] = np.linspace(0.5, 0.75, 20)[:, None]  # a slope of 2 % a pixel
    found = specks_in(depth)
    assert found[10, 10] and found[20:24, 10:12].all()
    assert int(found.sum()) == 9


def test_a_window_at_the_very_edge_of_a_picture_reads_nothing_beyond_it() -> None:
    """Its samples are added up in another order than its reach: rounding must not take one out."""
    height, width = 480, 64
    draws = np.random.default_rng(0)
    inside = draws.uniform(0, 255, (height, width)).astype(np.float32)
    pictures = []
    for beyond in (np.nan, 7.0):
        framed = np.full((height + 2, width + 2), beyond, np.float32)
        framed[:height, :width] = inside
        pictures.append(framed[:height, :width])
    turn = np.zeros((3, 3), np.float32)
    turn[0, 2], turn[2, 2] = width / 2, 1
    shift, window = np.array([0, 1, 0], np.float32), np.ones(25, np.float32)
    for _ in range(2_000):
        across, down = draws.uniform(-3, 3, 2).astype(np.float32)
        reach = np.float32(2) * (abs(across) + abs(down))
        last = np.nextafter(np.float32(height - 1) - reach, np.float32(0))
        turn[1, 2] = last + np.float32(0.5)
        fixed = (turn, shift, 1, 0, 0, np.float32(0), across, down, window)
        one, other = (_cost_in(picture, *fixed) for picture in pictures)
        assert one == other, (across, down)
