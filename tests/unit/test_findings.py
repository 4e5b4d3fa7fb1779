"""Findings: the order of their rules, their severities, and their JSON."""

from __future__ import annotations

from lyra_data.clips.checks.locations import ClipLocation
from lyra_data.dataset.checks.locations import DatasetLocation
from lyra_data.engine.findings import Rule, RuleTable, count_severities, worst_severity

RULES = RuleTable(
    (
        Rule("first", "clip", "warning", "at most 1", "it is long", "cut it"),
        Rule("second", "clip", "error", "none", "it is broken", "make it again"),
    )
)


def test_findings_stand_in_the_order_of_their_rules_and_as_they_came() -> None:
    names = ["second", "first", "second"]
    findings = [RULES.finding(name, ClipLocation(str(n)), "") for n, name in enumerate(names)]
    assert [finding.location.clip for finding in RULES.sort(findings)] == ["1", "0", "2"]
    assert count_severities(findings) == {"error": 2, "warning": 1, "note": 0}
    assert worst_severity(findings) == "error" and worst_severity([]) is None


def test_a_finding_states_its_rule_and_where_it_is() -> None:
    location = DatasetLocation("a", 3)
    finding = RULES.finding("first", location, "it has 2", value=float("nan"), remedy="look at it")
    assert finding.where == "scene a, view 3"
    assert finding.as_json() == {
        "rule": "first",
        "severity": "warning",
        "scene": "a",
        "view_index": 3,
        "frames": [],
        "file": "",
        "offset": None,
        "value": None,
        "bound": "at most 1",
        "message": "it has 2",
        "remedy": "look at it",
    }
    assert str(ClipLocation("b", (4, 3, 1, 0, 7))) == "frames 0-1, 3-4, 7"
