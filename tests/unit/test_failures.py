"""A few scenes may fail, with their reasons recorded; too many may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lyra_data.errors import InputError, ScenesFailedError
from lyra_data.failures import Failure, check_failures, record_failures


def failures(number: int) -> list[Failure]:
    error = InputError("the file is cut", where="image.png", fix="copy it again")
    return [Failure.of(f"scene{index}", error) for index in range(number)]


def test_a_failure_keeps_the_kind_and_the_whole_reason() -> None:
    (failure,) = failures(1)
    assert failure.as_json() == {
        "item": "scene0",
        "kind": "InputError",
        "reason": "image.png: the file is cut\nHow to mend it: copy it again",
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
        assert f"{failure.item}: {failure.reason}" in error.what
    assert error.where == ", ".join(failure.item for failure in failures(failed))
    assert error.fix is not None and "max_failed_fraction" in error.fix


@pytest.mark.parametrize("number", [0, 2])
def test_the_record_lists_every_failure_and_is_there_without_any(
    tmp_path: Path, number: int
) -> None:
    record_failures(failures(number), tmp_path)
    recorded = json.loads((tmp_path / "failures.json").read_text())
    assert recorded == [failure.as_json() for failure in failures(number)]
