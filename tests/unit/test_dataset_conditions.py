"""Conditions on views: what a dataset does not state is None, whichever way it says so."""

from __future__ import annotations

import math

import pytest

from lyra_data.dataset.editing.conditions import Condition


@pytest.mark.parametrize("value", [math.nan, None])
@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("movement_distance == None", True),
        ("movement_distance != None", False),
        ("movement_distance is None", True),
        ("movement_distance >= 0", False),
        ("movement_distance < 0", False),
    ],
)
def test_a_number_that_is_nan_is_none_in_a_condition(
    value: float | None, text: str, holds: bool
) -> None:
    condition = Condition(text, ["movement_distance"])
    assert condition.holds({"movement_distance": value}) is holds
