"""Find what stands against publishing a dataset under a licence, and say what would settle it.

This is no legal advice: the rules are few, stated here, and on the cautious side. A model's licence
counts by its limits (research alone, no profit), a source's by all its terms, since views are
changed copies of the source. What is unknown is a conflict: nobody has allowed it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lyra_data.sharing.licences.dependencies import Dependency
from lyra_data.sharing.licences.known import LICENCES, PERMISSION, RESEARCH_ONLY
from lyra_data.sharing.licences.licence import Licence
from lyra_data.sharing.licences.uses import (
    MODELS_KEY,
    MOST_NAMED,
    SOURCES_KEY,
    STATED,
    Statements,
    Use,
    ViewRow,
    count_uses,
)

Rule = Literal[
    "unknown",
    "no-redistribution",
    "no-adaptations",
    "research-only",
    "non-commercial",
    "share-alike",
    "attribution",
]

MOST_DESCRIBED = 10
"""Conflicts that one message describes."""

CANDIDATES = ("CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", RESEARCH_ONLY)
"""Licences that are proposed for data, those with the fewest limits first."""

CANDIDATES_OF_MODELS = ("Apache-2.0", "CC-BY-NC-4.0", RESEARCH_ONLY)


@dataclass(frozen=True)
class Conflict:
    """One dependency that does not go with the licence chosen for a dataset.

    Attributes:
        use: the dependency, and the rows that have it.
        licence: title of the dependency's licence; "" where it is unknown.
        problem: what stands against it, in words.
        remedies: what would settle it; any one of them does.
    """

    rule: Rule
    use: Use
    licence: str
    problem: str
    remedies: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.use.dependency.title}: {self.problem}", f"  {rows_in_words(self.use)}"]
        return "\n".join([*lines, *(f"  - {remedy}" for remedy in self.remedies)])


def conflicts(
    rows: Iterable[ViewRow], chosen: Licence, stated: Statements | None = None
) -> tuple[Conflict, ...]:
    """Return what stands against publishing rows under the chosen licence.

    Raises:
        InputError: as `count_uses`.
    """
    return conflicts_of(count_uses(rows, stated), chosen)


def conflicts_of(
    uses: Sequence[Use], chosen: Licence, *, holds_copies: bool = True
) -> tuple[Conflict, ...]:
    """Return what stands against publishing under the chosen licence; `uses` are all of them.

    What has all rights reserved grants nobody anything, so nothing stands against it; who publishes
    it keeps its repository private.

    Args:
        holds_copies: it holds changed copies of its sources, as datasets and scenes do. A model
            that was trained on them does not: of its sources, too, the limits alone count.
    """
    num_scenes = len({scene for use in uses for scene in use.scene_ids})
    found = []
    for use in uses:
        broken = _broken_rule(use.dependency, chosen, holds_copies)
        if broken is not None:
            rule, problem = broken
            known = LICENCES.get(use.dependency.licence)
            others = () if rule == "unknown" else (uses, [use])
            fitting = (derived_licence(some, holds_copies=holds_copies) for some in others)
            remedies = _remedies(rule, use, next(filter(None, fitting), None), num_scenes)
            found.append(Conflict(rule, use, known.title if known else "", problem, remedies))
    return tuple(found)


def derived_licence(uses: Sequence[Use], *, holds_copies: bool = True) -> Licence | None:
    """Return the licence with the fewest limits that nothing stands against; None: there is none.

    Args:
        holds_copies: as `conflicts_of`.
    """
    for name in CANDIDATES if holds_copies else CANDIDATES_OF_MODELS:
        chosen = LICENCES[name]
        if not any(_broken_rule(use.dependency, chosen, holds_copies) for use in uses):
            return chosen
    return None


def describe_conflicts(found: Sequence[Conflict]) -> str:
    """Return the first MOST_DESCRIBED conflicts in words, and how many there are besides."""
    lines = [str(one) for one in found[:MOST_DESCRIBED]]
    if len(found) > MOST_DESCRIBED:
        lines.append(f"and {len(found) - MOST_DESCRIBED} more like these")
    return "\n".join(lines)


def rows_in_words(use: Use) -> str:
    """Return which rows have a dependency: the first few, and how many there are."""
    if not use.num_views:
        return "all of it"
    scenes, views = len(use.scene_ids), use.num_views
    counted = f"{views} view{'s' * (views != 1)} of {scenes} scene{'s' * (scenes != 1)}"
    rest = ", ..." if views > MOST_NAMED else ""
    return f"{counted}: {', '.join(use.first_views)}{rest}"


def _broken_rule(
    needed: Dependency, chosen: Licence, holds_copies: bool
) -> tuple[Rule, str] | None:
    """Return the first rule that a dependency breaks under a licence, and the problem in words."""
    if chosen.is_private:
        return None
    licence = LICENCES.get(needed.licence)
    if licence is None:
        said = repr(needed.words) if needed.words else "nothing"
        more = f"; its row says {said}" if needed.role == "source" else ""
        return "unknown", f"its licence is not known{more}"
    if licence.research_only and not chosen.research_only:
        return "research-only", f"{licence.title} is for research alone, {chosen.title} is not"
    if licence.commercial == "no" and chosen.commercial != "no":
        return (
            "non-commercial",
            f"{licence.title} forbids profit, {chosen.title} allows it",
        )
    is_copied = holds_copies and needed.role == "source"
    return _broken_by_copies(licence, chosen) if is_copied else None


def _broken_by_copies(licence: Licence, chosen: Licence) -> tuple[Rule, str] | None:
    """Return what terms for copies of a source forbid; a model's outputs are no copies of it."""
    if licence.redistribution == "no":
        return "no-redistribution", f"{licence.title} does not let it be passed on"
    if not licence.adaptations:
        return "no-adaptations", f"{licence.title} forbids changed copies, and views are such"
    if licence.share_alike and not _continues(chosen, licence):
        return "share-alike", f"{licence.title} asks for the same licence, not {chosen.title}"
    if licence.attribution == "required" and chosen.attribution == "none":
        return "attribution", f"{licence.title} asks to be credited, {chosen.title} drops that"
    return None


def _continues(chosen: Licence, licence: Licence) -> bool:
    """Return whether a licence is the same, or a later version of it."""
    return chosen.family == licence.family and chosen.version >= licence.version


def _remedies(rule: Rule, use: Use, other: Licence | None, num_scenes: int) -> tuple[str, ...]:
    """Return another licence, the command that leaves the rows out, and the line of params."""
    named = use.dependency
    change = [] if other is None else [f"publish under another licence: {other.identifier}"]
    is_source = named.role == "source"
    licence = "LICENCE" if rule == "unknown" else PERMISSION
    if is_source:
        scenes = '"*"' if len(use.scene_ids) == num_scenes else use.scene_ids[0]
        rest = ", ..." if 1 < len(use.scene_ids) < num_scenes else ""
        key = f"{SOURCES_KEY}: {{{scenes}: {licence}{rest}}}"
    else:
        key = f"{MODELS_KEY}: {{{named.name}: {licence}}}"
    what = f"state the licence of the {'source' if is_source else 'model'}, if you know it"
    if rule != "unknown":
        what = f"state `{PERMISSION}`, if its owner allows you this"
    return (*change, _leave_out(use, num_scenes), f"{what}, in params.yaml under {key}")


def _leave_out(use: Use, num_scenes: int) -> str:
    """Return the command that leaves the rows out."""
    named = use.dependency
    if not use.scene_ids:
        return "make it without"
    if len(use.scene_ids) == num_scenes:
        return "leave these scenes out: no other is left, so make the dataset of other sources"
    column = {"source": "licence", "teacher": "teacher"}.get(named.role)
    if column and named.known_from != STATED:
        condition = shlex.quote(f"{column} != {named.words!r}")
        return f"leave these scenes out: lyra-data filter DATASET OUT --where {condition}"
    kept = num_scenes - len(use.scene_ids)
    return (
        "leave these scenes out: lyra-data filter DATASET OUT --scenes KEPT.txt, a file with the "
        f"names of the other {kept} scene{'s' * (kept != 1)}, one a line"
    )
