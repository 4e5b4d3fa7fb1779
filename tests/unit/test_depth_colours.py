"""Depth as pictures: colours run from near to far, and unknown depth shapes nothing."""

from __future__ import annotations

import torch

from lyra_data.media.depth_colours import depth_wave, jet

RAMP = torch.linspace(1.0, 3.0, 64).expand(2, 8, 64).contiguous()


def test_near_is_blue_and_far_is_red() -> None:
    pictures = jet(RAMP).int()
    near, far = pictures[0, :, 0, 0], pictures[0, :, 0, -1]
    assert near.argmax() == 2
    assert far.argmax() == 0


def test_unknown_depth_is_black_and_changes_no_other_colour() -> None:
    depth = RAMP.clone()
    depth[:, :4] = 0.0
    pictures = jet(depth)
    assert int(pictures[:, :, :4].sum()) == 0
    assert torch.equal(pictures[:, :, 4:], jet(RAMP)[:, :, 4:])


def test_depths_beyond_the_limits_keep_the_end_colours() -> None:
    pictures = jet(RAMP, limits=(1.5, 2.5))
    assert torch.equal(pictures[..., 0], pictures[..., 10])
    assert torch.equal(pictures[..., -1], pictures[..., -10])


def test_a_picture_without_depth_or_of_one_depth_can_be_drawn() -> None:
    assert int(jet(torch.zeros(1, 4, 4)).sum()) == 0
    assert jet(torch.ones(1, 4, 4)).shape == (1, 3, 4, 4)
    assert len(depth_wave(torch.zeros(3, 4, 4), torch.ones(4, 4), wave_length=0.4)) == 49


def test_the_wave_runs_from_near_to_far_over_a_still_picture() -> None:
    image = torch.full((3, 8, 64), 10, dtype=torch.uint8)
    video = depth_wave(image, RAMP[0], wave_length=0.3, num_still=2, num_steps=10).int()
    assert len(video) == 2 + 11
    assert bool((video[:2] == 10).all())
    crests = video[2:, 0, 0].argmax(-1).tolist()
    assert crests == sorted(crests)
    assert (crests[0], crests[-1]) == (0, 63)


def test_the_wave_leaves_unknown_pixels_as_they_are() -> None:
    image = torch.full((3, 8, 64), 10, dtype=torch.uint8)
    depth = RAMP[0].clone()
    depth[:4] = 0.0
    video = depth_wave(image, depth, wave_length=0.3)
    assert bool((video[:, :, :4] == 10).all())
    assert bool((video[:, :, 4:] != 10).any())
