"""A clip's per-frame fields move together, whatever is done to its frames."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from lyra_data.scene.clip import Clip
from tests.factories import make_clip

NUM_FRAMES = 5


def make_video() -> Clip:
    clip = make_clip(num_frames=NUM_FRAMES)
    changing = clip.cameras.intrinsics + torch.arange(NUM_FRAMES)[:, None]
    mask = torch.zeros_like(clip.depth_valid)
    mask[torch.arange(NUM_FRAMES), 0, torch.arange(NUM_FRAMES)] = True
    return replace(clip, cameras=replace(clip.cameras, intrinsics=changing), dynamic_mask=mask)


def per_frame(clip: Clip) -> dict[str, torch.Tensor]:
    """Every tensor of the clip; a field that is added later is found too."""
    tensors = {each.name: getattr(clip, each.name) for each in fields(clip)}
    tensors |= {each.name: getattr(clip.cameras, each.name) for each in fields(clip.cameras)}
    return {name: value for name, value in tensors.items() if isinstance(value, torch.Tensor)}


def test_reversing_a_clip_reverses_every_per_frame_field() -> None:
    clip = make_video()
    before, after = per_frame(clip), per_frame(clip.reversed_in_time())
    assert {"frames", "depth", "depth_valid", "dynamic_mask"} < set(before)
    assert {"camera_to_world", "intrinsics"} < set(before)
    for name, values in before.items():
        assert torch.equal(after[name], values.flip(0)), name
        assert not torch.equal(after[name], values), name


def test_reversing_twice_gives_the_clip_back() -> None:
    clip = make_video()
    again = per_frame(clip.reversed_in_time().reversed_in_time())
    assert all(torch.equal(again[name], values) for name, values in per_frame(clip).items())


def test_taking_frames_takes_them_of_every_field_in_the_order_asked_for() -> None:
    clip, chosen = make_video(), [4, 0, 0, 2]
    taken = clip.taking(chosen)
    for name, values in per_frame(clip).items():
        assert torch.equal(per_frame(taken)[name], values[chosen]), name
    assert (taken.scene_id, taken.fps, taken.prompt) == (clip.scene_id, clip.fps, clip.prompt)


def test_a_clip_without_a_mask_of_moving_things_stays_without() -> None:
    assert make_clip(num_frames=3).taking([1]).dynamic_mask is None


@pytest.mark.parametrize("frames", [[], [-1], [NUM_FRAMES]])
def test_frames_that_are_not_there_cannot_be_taken(frames: list[int]) -> None:
    with pytest.raises(AssertionError):
        make_video().taking(frames)
