"""A small sample of `python -m tests.hub.publish_drill`: real kills, under random faults."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.hub.publish_drill import Drill, drill


@pytest.mark.slow
@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_killed_publications_are_whole_or_absent_and_nothing_finished_is_sent_again(tmp_path, way):
    figures = drill(Drill(way, kills=8, num_files=300, seed=3, wait_seconds=3.0), tmp_path)
    assert figures.kills == 8
    counts = asdict(figures)
    expected = {"half_new": 0, "wrong_tags": 0, "resent_bytes": 0, "refusals": []}
    assert {name: counts[name] for name in expected} == expected
    assert figures.pull_requests == figures.versions
    assert figures.most_commits_an_hour <= 128
    assert sum(figures.faults.values()) > 0
