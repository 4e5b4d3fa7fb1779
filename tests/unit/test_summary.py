"""What a stage tells is JSON that every program reads, and words that fit their numbers."""

from __future__ import annotations

import json

import pytest

from stages.summary import Summary, counted


def test_numbers_that_json_has_no_word_for_become_null() -> None:
    facts = {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": (float("-inf"), 2, "x", None)}}
    told = Summary("stats", "done", facts).as_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == {
        "stage": "stats",
        "headline": "done",
        "a": None,
        "b": [1.5, None],
        "c": {"d": [None, 2, "x", None]},
    }


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 views"), (1, "1 view"), (2, "2 views"), (1056, "1,056 views")]
)
def test_nouns_fit_their_numbers(count: int, told: str) -> None:
    assert counted(count, "view") == told
