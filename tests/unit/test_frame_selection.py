"""Which frames of a video a view shows, and that every per-frame field follows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lyra_data.engine.errors import InputError
from lyra_data.scene.clip import Clip
from lyra_data.scene.frame_selection import (
    FrameSelectionParams,
    ShortClips,
    held,
    mirrored,
    select_frames,
    spelt_out,
)
from tests.factories import make_clip


def params(short_clips: ShortClips = "mirror", **changes: int) -> FrameSelectionParams:
    return FrameSelectionParams(
        **{"first": 0, "stride": 1, "short_clips": short_clips, **changes}  # pyright: ignore
    )


def numbered(num_frames: int) -> Clip:
    """A clip whose every field tells the number of its frame, intrinsics among them."""
    clip = make_clip(num_frames=num_frames)
    number = torch.arange(num_frames)
    field = (number + 1.0).reshape(-1, 1, 1).expand(clip.depth.shape).contiguous()
    pose = clip.cameras.camera_to_world.clone()
    pose[:, 0, 3] = number.float()
    return replace(
        clip,
        frames=number.to(torch.uint8).reshape(-1, 1, 1, 1).expand(clip.frames.shape).contiguous(),
        cameras=replace(
            clip.cameras,
            camera_to_world=pose,
            intrinsics=clip.cameras.intrinsics + number.float()[:, None],
        ),
        depth=field,
        depth_valid=torch.ones_like(field, dtype=torch.bool),
        dynamic_mask=(number % 2 == 0).reshape(-1, 1, 1).expand(field.shape).contiguous(),
    )


def numbers(clip: Clip) -> list[int]:
    """The frames that a numbered clip has kept, read from each field, which must agree."""
    width = make_clip().cameras.intrinsics[0, 0]
    read = [
        clip.frames[:, 0, 0, 0].tolist(),
        (clip.depth[:, 0, 0] - 1).int().tolist(),
        clip.cameras.centres[:, 0].int().tolist(),
        (clip.cameras.intrinsics[:, 0] - width).round().int().tolist(),
    ]
    assert all(each == read[0] for each in read), read
    assert clip.dynamic_mask is not None
    assert clip.dynamic_mask[:, 0, 0].tolist() == [number % 2 == 0 for number in read[0]]
    return read[0]


def test_a_long_video_gives_its_first_frames() -> None:
    assert numbers(select_frames(numbered(20), 9, params())) == list(range(9))


def test_first_and_stride_choose_where_and_how_densely() -> None:
    chosen = select_frames(numbered(20), 5, params(first=3, stride=4))
    assert numbers(chosen) == [3, 7, 11, 15, 19]
    assert chosen.fps == 24.0 / 4


def test_a_short_video_is_played_forwards_and_backwards() -> None:
    assert numbers(select_frames(numbered(4), 9, params())) == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_a_short_video_may_stand_still_at_its_end() -> None:
    chosen = select_frames(numbered(4), 9, params("repeat_last"))
    assert numbers(chosen) == [0, 1, 2, 3, 3, 3, 3, 3, 3]


def test_a_short_video_may_be_refused_with_what_is_missing() -> None:
    with pytest.raises(InputError, match="the video has 4 frames, and 9 are needed"):
        select_frames(numbered(4), 9, params("refuse"))
    assert len(select_frames(numbered(9), 9, params("refuse"))) == 9


def test_a_start_beyond_the_end_is_refused() -> None:
    with pytest.raises(InputError, match="has 4 frames, so none at index 4"):
        select_frames(numbered(4), 9, params(first=4))


def test_a_still_image_stays_one_frame() -> None:
    clip = make_clip()
    assert select_frames(clip, 9, params("refuse", first=7)) is clip


def test_the_frames_that_were_taken_are_written_down() -> None:
    source = select_frames(numbered(4), 9, params()).source
    assert source is not None
    assert source["frames"] == "0..3, 2..0, 1..2"
    assert source["kind"] == "factory"


@pytest.mark.parametrize("short_clips", ["mirror", "repeat_last"])
def test_reversing_after_extending_reverses_the_extended_video(short_clips: ShortClips) -> None:
    chosen = select_frames(numbered(4), 9, params(short_clips))
    assert numbers(chosen.reversed_in_time()) == numbers(chosen)[::-1]


@given(st.integers(1, 40), st.integers(2, 12), st.integers(0, 30))
def test_a_mirrored_video_never_jumps_nor_stands_still(num: int, length: int, first: int) -> None:
    indices = mirrored(num, length, first=first)
    assert len(indices) == num
    assert all(0 <= index < length for index in indices)
    assert all(abs(a - b) == 1 for a, b in pairwise(indices))
    assert first >= length or indices[0] == first


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 30), st.integers(1, 4))
def test_a_held_video_never_goes_back(num: int, length: int, first: int, stride: int) -> None:
    indices = held(num, length, first=first, stride=stride)
    assert indices == sorted(indices)
    assert indices[-1] <= length - 1


def test_a_video_of_one_frame_is_that_frame_again_and_again() -> None:
    assert mirrored(5, 1, first=3) == held(5, 1, first=3) == [0] * 5


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([0, 1, 2], "0..2"),
        ([0, 1, 2, 1, 0], "0..2, 1..0"),
        ([5], "5"),
        ([1, 4, 7, 8], "1..7 step 3, 8"),
        ([2, 3, 3, 3], "2..3, 3 (2 times)"),
        ([4, 4, 4], "4 (3 times)"),
    ],
)
def test_runs_of_frames_are_spelt_out(indices: list[int], words: str) -> None:
    assert spelt_out(indices) == words
