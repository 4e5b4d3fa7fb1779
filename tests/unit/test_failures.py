"""A few scenes may fail, with their reasons recorded; too many may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lyra_data.engine.errors import InputError, ScenesFailedError
from lyra_data.engine.failures import Failure, check_failures, record_failures


def failures(number: int) -> list[Failure]:
    error = InputError("the file is cut", where="image.png", fix="copy it again")
    return [Failure.of(f"scene{index}", error) for index in range(number)]


def test_a_failure_keeps_the_kind_and_the_whole_reason() -> None:
    (failure,) = failures(1)
    assert failure.as_json() == {
        "item": "scene0",
        "kind": "InputError",
        "reason": "image.png: the file is cut",
        "fix": "copy it again",
        "attempts": 1,
    }


@pytest.mark.parametrize(
    ("failed", "total", "allowed"), [(0, 0, 0.0), (0, 5, 0.0), (1, 2, 0.5), (2, 8, 0.25)]
)
def test_failures_up_to_the_allowed_share_are_accepted(
    failed: int, total: int, allowed: float
) -> None:
    check_failures(failures(failed), total, allowed)


@pytest.mark.parametrize(
    ("failed", "total", "allowed"),
    [(1, 5, 0.0), (1, 3, 0.3), (3, 8, 0.25), (1, 1, 0.99), (4, 4, 0.99)],
)
def test_more_failures_than_allowed_or_nothing_left_fails_and_names_each(
    failed: int, total: int, allowed: float
) -> None:
    with pytest.raises(ScenesFailedError) as caught:
        check_failures(failures(failed), total, allowed)
    error = caught.value
    assert error.what.startswith(f"{failed} of {total} failed, params allow {allowed:.0%}")
    for failure in failures(failed):
        assert f"\n  {failure.item}: {failure.reason}\n    Fix: copy it again" in error.what
    assert error.where == ", ".join(failure.item for failure in failures(failed))
    assert error.fix is not None and "max_failed_fraction" in error.fix


def test_a_failed_scene_is_told_in_few_lines_with_one_fix_of_its_own() -> None:
    what = "no view is good enough:\n  left: blurred\n  up: blurred"
    error = InputError(what, where="scene wall", fix="move the limits")
    with pytest.raises(ScenesFailedError) as caught:
        check_failures([Failure.of("wall", error)], 1, 0.0)
    assert str(caught.value).splitlines() == [
        "wall: 1 of 1 failed, params allow 0%:",
        "  wall: no view is good enough:",
        "      left: blurred",
        "      up: blurred",
        "    Fix: move the limits",
        "How to mend it: mend what is listed, remove those scenes, or raise max_failed_fraction",
    ]


@pytest.mark.parametrize(
    ("item", "where", "reason"),
    [
        ("wall/left", "scene wall", "too dark"),
        ("wall", "scene wall", "too dark"),
        ("wall/left", "scene wa", "scene wa: too dark"),
        ("wall", "inputs/wall", "inputs/wall: too dark"),
        ("wall", None, "too dark"),
    ],
)
def test_a_place_that_the_item_names_is_not_told_twice(item, where, reason) -> None:
    assert Failure.of(item, InputError("too dark", where=where)).reason == reason


def test_what_was_tried_more_than_once_says_how_often() -> None:
    assert str(Failure("wall/left", "WorkerDied", "killed", attempts=2)) == (
        "wall/left: killed (2 attempts)"
    )


@pytest.mark.parametrize("number", [0, 2])
def test_the_record_lists_every_failure_and_is_there_without_any(
    tmp_path: Path, number: int
) -> None:
    record_failures(failures(number), tmp_path)
    recorded = json.loads((tmp_path / "failures.json").read_text())
    assert recorded == [failure.as_json() for failure in failures(number)]
