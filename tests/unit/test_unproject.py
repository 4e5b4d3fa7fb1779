"""Unprojecting: pixels become Gaussians where they show something new, and lie where they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_data.scene.projection import project
from lyra_model.batches.targets import Targets
from lyra_model.fitting.depth_completion import complete_depth
from lyra_model.fitting.unproject import UnprojectParams, unproject_frames
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from tests.factories import HEIGHT, WIDTH, make_targets

RENDERING = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 1.0, 1.0),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)
PIXELS = HEIGHT * WIDTH


def known_everywhere(num_frames: int) -> Targets:
    targets = make_targets(num_frames)
    known = torch.ones_like(targets.depth_valid)
    return replace(
        targets,
        depth=complete_depth(targets.rgb, targets.depth, targets.depth_valid),
        depth_valid=known,
    )


def test_every_pixel_of_the_first_frame_becomes_a_gaussian_at_its_depth() -> None:
    frames = known_everywhere(1)
    gaussians = unproject_frames(frames, UnprojectParams(margin=0), seed=0)
    assert len(gaussians) == PIXELS
    pixels = project(gaussians.means, frames.cameras)[0].reshape(HEIGHT, WIDTH, 2)
    torch.testing.assert_close(pixels[3, 5], torch.tensor([5.5, 3.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(gaussians.means[:, 2], frames.depth.flatten())
    torch.testing.assert_close(gaussians.colors.T.reshape(3, HEIGHT, WIDTH), frames.rgb[0])


def test_unprojected_gaussians_show_their_frame() -> None:
    frames = known_everywhere(1)
    gaussians = unproject_frames(frames, UnprojectParams(margin=0), seed=0)
    rendered = render(gaussians, frames.cameras, RENDERING)
    middle = (slice(2, -2), slice(2, -2))
    assert float((rendered.rgb[0] - frames.rgb[0])[:, *middle].abs().mean()) < 0.1
    assert float((rendered.depth[0] / frames.depth[0])[middle].sub(1).abs().mean()) < 0.1


def test_a_later_frame_of_the_same_camera_adds_nothing() -> None:
    frames = known_everywhere(1)
    twice = Targets.concatenate([frames, frames])
    params = UnprojectParams(margin=0, frame_stride=1, new_share=1.0, seen_share=0.0)
    assert len(unproject_frames(twice, params, seed=0)) == PIXELS


def test_a_later_frame_adds_what_came_into_sight() -> None:
    frames = known_everywhere(9)[[0, 8]]
    params = UnprojectParams(margin=0, frame_stride=1, new_share=1.0, seen_share=0.0)
    gaussians = unproject_frames(frames, params, seed=0)
    added = project(gaussians.means[PIXELS:], frames.cameras)
    assert 0 < len(added[0]) < PIXELS / 2
    beside = (added[0] < 0) | (added[0] > torch.tensor([WIDTH, HEIGHT]))
    assert float(beside.any(-1).float().mean()) > 0.2  # the others were behind the box
    assert bool(((added[1] >= 0) & (added[1] <= torch.tensor([WIDTH, HEIGHT]))).all())


def test_strides_leave_frames_and_pixels_out_and_gaussians_grow() -> None:
    frames = known_everywhere(1)
    whole = unproject_frames(frames, UnprojectParams(margin=0), seed=0)
    strided = unproject_frames(frames, UnprojectParams(margin=0, pixel_stride=2), seed=0)
    assert len(strided) == PIXELS // 4
    torch.testing.assert_close(
        strided.scales[:, 0] / strided.means[:, 2],
        2 * whole.scales[: PIXELS // 4, 0] / whole.means[: PIXELS // 4, 2],
    )
    many = known_everywhere(9)
    params = UnprojectParams(margin=0, frame_stride=9, new_share=1.0)
    assert len(unproject_frames(many, params, seed=0)) == PIXELS


def test_no_more_gaussians_than_allowed_and_the_draw_is_the_seeds() -> None:
    frames = make_targets(9)
    params = UnprojectParams(margin=0, max_gaussians=100)
    first, again, other = (unproject_frames(frames, params, seed=seed) for seed in (0, 0, 1))
    assert len(first) == 100
    assert torch.equal(first.means, again.means)
    assert not torch.equal(first.means, other.means)


def test_a_margin_continues_the_picture_beyond_its_borders_alone() -> None:
    frames = known_everywhere(1)
    within = unproject_frames(frames, UnprojectParams(margin=0), seed=0)
    params = UnprojectParams(margin=0.25, margin_stride=2)
    margin = unproject_frames(frames, params, seed=0)[len(within) :]
    pixels = project(margin.means, frames.cameras)[0]
    size = torch.tensor([WIDTH, HEIGHT])
    assert len(margin) == (WIDTH // 2 + 6) * (HEIGHT // 2 + 6) - PIXELS // 4
    assert bool(((pixels < 0) | (pixels > size)).any(-1).all())
    assert bool((pixels > -0.3 * WIDTH).all())
    left = margin.colors[(pixels[:, 0] < 0) & (pixels[:, 1] > 4) & (pixels[:, 1] < 8)].mean(0)
    torch.testing.assert_close(left, frames.rgb[0, :, 4:8, :3].mean((1, 2)), atol=0.1, rtol=0)


def test_a_margin_is_added_only_where_no_gaussian_lies() -> None:
    frames = known_everywhere(1)
    once = unproject_frames(frames, UnprojectParams(), seed=0)
    twice = Targets.concatenate([frames, frames])
    params = UnprojectParams(frame_stride=1, new_share=1.0, seen_share=0.0)
    assert len(unproject_frames(twice, params, seed=0)) == len(once)


def test_a_hole_is_filled_from_the_side_that_has_its_colour() -> None:
    """A wall at 4 m, red, beside a box at 2 m, blue; the hole lies across the edge."""
    rgb = torch.zeros(1, 3, 16, 24)
    rgb[:, 0, :, :12], rgb[:, 2, :, 12:] = 1.0, 1.0
    depth = torch.where(torch.arange(24) < 12, 4.0, 2.0).expand(1, 16, 24).clone()
    known = torch.ones(1, 16, 24, dtype=torch.bool)
    known[:, 4:12, 6:20] = False
    completed = complete_depth(rgb, depth * known, known)
    torch.testing.assert_close(completed, depth, rtol=0.02, atol=0)


def test_known_depth_stays_and_unknown_depth_is_guessed() -> None:
    frames = make_targets(2)
    completed = complete_depth(frames.rgb, frames.depth, frames.depth_valid)
    known = frames.depth_valid
    assert torch.equal(completed[known], frames.depth[known])
    assert float(completed[~known].min()) >= float(frames.depth[known].min())


def test_a_frame_without_known_depth_takes_the_median_of_the_others() -> None:
    frames = make_targets(2)
    known = frames.depth_valid.clone()
    known[1] = False
    completed = complete_depth(frames.rgb, frames.depth, known)
    assert bool((completed[1] == frames.depth[0][known[0]].median()).all())


def test_without_any_known_depth_nothing_is_guessed() -> None:
    frames = make_targets(1)
    with pytest.raises(ValueError, match="no depth is known"):
        complete_depth(frames.rgb, frames.depth, torch.zeros_like(frames.depth_valid))
