"""Shots and windows: they cover a video, overlap as asked, and name their scenes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lyra_data.engine.errors import ParamsError
from lyra_data.sources.parts import (
    Extent,
    PartParams,
    Span,
    WindowParams,
    shared_frames,
    shot_parts,
    window_spans,
)


def params(frames: int = 0, overlap: int = 2, *, least: int = 2) -> PartParams:
    windows = {"frames": frames, "overlap": overlap} if frames else None
    values = {"shots": "split", "least_shot_frames": least, "windows": windows}
    return PartParams.parse(values, where="annotate.parts")


@pytest.mark.parametrize("num_frames", [11, 12, 17, 18, 19, 25, 100])
def test_windows_are_of_one_length_and_overlap_at_least_as_asked(num_frames: int) -> None:
    spans = window_spans(Span(40, num_frames), WindowParams(frames=10, overlap=3))
    assert spans[0].first == 40 and spans[-1].end == 40 + num_frames
    assert {span.num_frames for span in spans} == {10}
    shared = [shared_frames(*pair) for pair in pairwise(spans)]
    assert set(shared[:-1]) <= {3} and 3 <= shared[-1] < 10


def test_a_shot_no_longer_than_a_window_stays_whole() -> None:
    assert window_spans(Span(4, 10), WindowParams(frames=10, overlap=3)) == [Span(4, 10)]


def test_a_video_that_is_one_part_keeps_its_name() -> None:
    for chosen in (params(), params(30)):
        ((part,),) = shot_parts("dog", Extent((Span(0, 30),), "abc"), chosen)
        assert (part.scene_id, part.span, part.facts) == ("dog", Span(0, 30), ())


def test_shots_and_windows_are_numbered_so_that_they_sort() -> None:
    shots = (Span(0, 12), Span(12, 1), Span(13, 20))
    first, third = shot_parts("dog", Extent(shots, "abc"), params(12, least=2))
    assert [part.scene_id for part in first] == ["dog_shot00"]
    assert [part.scene_id for part in third] == ["dog_shot02_window000", "dog_shot02_window001"]
    assert dict(third[1].facts) == {
        "shot": "3 of 3: frames 13..32",
        "window": "2 of 2: frames 21..32",
    }
    many = [Span(n, 1) for n in range(101)]
    names = [
        parts[0].scene_id for parts in shot_parts("d", Extent(tuple(many), ""), params(least=2))
    ]
    assert names == []
    many = [Span(2 * n, 2) for n in range(101)]
    names = [
        parts[0].scene_id for parts in shot_parts("d", Extent(tuple(many), ""), params(least=2))
    ]
    assert names == sorted(names) and names[7] == "d_shot007"


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({"frames": 10, "overlap": 10}, "more than half of frames"),
        ({"frames": 10, "overlap": 6}, "more than half of frames"),
        ({"frames": 10, "overlap": 0}, "greater than or equal to 2"),
        ({"frames": 10}, "overlap"),
        ({"frames": 2, "overlap": 2}, "greater than or equal to 4"),
    ],
)
def test_windows_that_cannot_be_are_refused(windows: dict[str, Any], message: str) -> None:
    values = {"shots": "split", "least_shot_frames": 2, "windows": windows}
    with pytest.raises(ParamsError, match=message) as caught:
        PartParams.parse(values, where="annotate.parts")
    assert "windows" in f"{caught.value.where} {caught.value.what}"
