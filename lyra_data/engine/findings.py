"""Rules, and what they find: one form for clips and for datasets.

A rule says what is demanded. A finding says which rule does not hold, where, by how much, and what
the owner can do about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first. An error makes what is learned from the data wrong; a warning wants a look; a note
says what could not be judged."""


class Location(Protocol):
    """Location of a finding. Its text is what a table says of it."""

    @property
    def frames(self) -> tuple[int, ...]:
        """Return the frames concerned; none: all of them."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values by key."""
        ...


L = TypeVar("L", bound=Location)


@dataclass(frozen=True)
class Rule:
    """One demand on a kind of thing.

    Attributes:
        name: stable; scripts may rely on it.
        kind: what it is about.
        bound: what still passes, in words and numbers.
        meaning: what a finding says about the thing.
        remedy: what its owner can do.
    """

    name: str
    kind: Literal["clip", "dataset"]
    severity: Severity
    bound: str
    meaning: str
    remedy: str


@dataclass(frozen=True)
class Finding(Generic[L]):
    """Something that a rule found.

    Attributes:
        rule: its name.
        value: the worst value, where one number says it.
        message: one sentence with the value and its unit.
    """

    rule: str
    severity: Severity
    location: L
    value: float | None
    bound: str
    message: str
    remedy: str

    @property
    def frames(self) -> tuple[int, ...]:
        return self.location.frames

    @property
    def where(self) -> str:
        """Return the location in words, e.g. "frames 0-4, 7" or "scene a, view 3"."""
        return str(self.location)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values; a value that is no finite number is null."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {
            "rule": self.rule,
            "severity": self.severity,
            **self.location.as_json(),
            "value": value,
            "bound": self.bound,
            "message": self.message,
            "remedy": self.remedy,
        }


class RuleTable(Mapping[str, Rule]):
    """Rules by name; findings are reported in their order."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._order = {name: number for number, name in enumerate(self._rules)}

    def __getitem__(self, name: str) -> Rule:
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def finding(
        self,
        name: str,
        location: L,
        message: str,
        *,
        value: float | None = None,
        remedy: str | None = None,
    ) -> Finding[L]:
        """Return the finding of a rule.

        Args:
            remedy: None: the rule's own.
        """
        rule = self._rules[name]
        return Finding(
            name, rule.severity, location, value, rule.bound, message, remedy or rule.remedy
        )

    def sort(self, findings: Iterable[Finding[L]]) -> list[Finding[L]]:
        """Return findings in the order of their rules, those of one rule as they came."""
        return sorted(findings, key=lambda finding: self._order[finding.rule])


def worst_severity(findings: Iterable[Finding[Any]]) -> Severity | None:
    """Return the worst severity among findings; None: there are none."""
    severities = {finding.severity for finding in findings}
    return next((severity for severity in SEVERITIES if severity in severities), None)


def count_severities(findings: Iterable[Finding[Any]]) -> dict[Severity, int]:
    """Return the number of findings of every severity, worst first."""
    severities = [finding.severity for finding in findings]
    return {severity: severities.count(severity) for severity in SEVERITIES}
