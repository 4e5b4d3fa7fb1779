"""Cuts are found wherever they are, and motion is not taken for one."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest
import skimage.data
import torch
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.media.shots import cuts_in, shot_ranges
from lyra_data.media.video import read_video
from tests.samples import sample

NUM_FRAMES = 30


def panned(picture: str, *, pixels_a_frame: int = 4) -> UInt8[Tensor, "frame 3 height width"]:
    """A camera that turns over a photo."""
    photo = torch.from_numpy(getattr(skimage.data, picture)()[:300, :400].copy()).permute(2, 0, 1)
    return torch.stack(
        [torch.roll(photo, -pixels_a_frame * index, dims=2) for index in range(NUM_FRAMES)]
    )


def test_one_shot_has_no_cut() -> None:
    assert cuts_in(panned("astronaut")) == []


def test_fast_motion_is_no_cut() -> None:
    assert cuts_in(panned("coffee", pixels_a_frame=40)) == []


def test_every_cut_is_found_where_it_is() -> None:
    film = torch.cat([panned("astronaut"), panned("coffee"), panned("chelsea")])
    assert cuts_in(film) == [NUM_FRAMES, 2 * NUM_FRAMES]


def test_cuts_beside_the_ends_and_to_very_short_shots_are_found() -> None:
    film = torch.cat([panned("astronaut")[:2], panned("coffee")[:5], panned("chelsea")[:1]])
    assert cuts_in(film) == [2, 7]


def test_a_cut_within_one_place_is_found() -> None:
    """Half the picture's width aside: the colours are those of before."""
    film = panned("coffee", pixels_a_frame=2)
    assert cuts_in(torch.cat([film[:15], torch.roll(film[15:], (150, 200), (2, 3))])) == [15]


@pytest.mark.parametrize("level", [0, 255])
def test_a_flash_or_a_black_frame_is_no_cut_and_hides_none(level: int) -> None:
    plain = torch.full((2, 3, 300, 400), level, dtype=torch.uint8)
    film, other = panned("astronaut"), panned("coffee")
    assert cuts_in(torch.cat([film[:15], plain, film[15:]])) == []
    assert cuts_in(torch.cat([film[:15], plain, other])) == [17]


def test_noise_and_stillness_are_no_cuts() -> None:
    draws = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (12, 3, 90, 160), dtype=torch.uint8, generator=draws)
    assert cuts_in(noise) == []
    assert cuts_in(noise[:1].expand(6, -1, -1, -1)) == []


def test_no_more_than_two_frames_are_kept() -> None:
    alive: list[weakref.ref[Tensor]] = []

    def film() -> Iterator[UInt8[Tensor, "3 height width"]]:
        for picture in panned("coffee"):
            assert sum(frame() is not None for frame in alive) <= 2
            frame = picture.clone()
            alive.append(weakref.ref(frame))
            yield frame
            del frame

    assert cuts_in(film()) == []
    assert len(alive) == NUM_FRAMES


def test_shots_cover_the_film_once() -> None:
    assert shot_ranges([30, 60], 90) == [(0, 30), (30, 30), (60, 30)]
    assert shot_ranges([], 7) == [(0, 7)]


def test_a_running_dog_is_one_shot() -> None:
    video = read_video(sample("dog.mp4"))
    assert cuts_in(video.frames) == []
    assert cuts_in(torch.cat([video.frames[:40], video.frames[80:]])) == [40]
    assert cuts_in(video.frames[::4]) == []  # four times as fast
