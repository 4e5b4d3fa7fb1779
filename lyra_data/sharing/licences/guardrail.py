"""Say whether a guardrail watched what a model made: recorded, and shown in cards, never silent.

GEN3C is released with guardrail models that look at prompts and at frames. Lyra's own scripts
switch them off, and lyra-data has none to run; the licence ends the rights of whoever switches a
guardrail off without one of like effect. So it stands in each view's provenance and in each card.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lyra_data.generation.teachers.base import GUARDRAIL_KEY
from lyra_data.sharing.licences.uses import ViewRow

RELEASED_WITH_ONE = ("gen3c",)
"""Teachers whose views have no record where they were made before records were kept."""


@dataclass(frozen=True)
class GuardrailState:
    """The state of a teacher's guardrail, and how many views were made so.

    Attributes:
        teacher: name of the kind.
        state: "off"; "not recorded": views made before it was, by a release that had none to run.
    """

    teacher: str
    state: str
    num_views: int

    def __str__(self) -> str:
        views = f"{self.num_views} view{'s' * (self.num_views != 1)}"
        if self.state == "off":
            return f"{views} by {self.teacher}: its guardrail was off (lyra-data has none to run)"
        return (
            f"{views} by {self.teacher}: the state of its guardrail is not recorded; no release of "
            "lyra-data ran one"
        )


def guardrail_states(rows: Iterable[ViewRow]) -> tuple[GuardrailState, ...]:
    """Return the states of all teachers that are released with a guardrail."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        teacher = row.provenance.get("teacher", "")
        state = row.provenance.get(GUARDRAIL_KEY)
        if state is None and teacher in RELEASED_WITH_ONE:
            state = "not recorded"
        if state is not None:
            counts[teacher, state] = counts.get((teacher, state), 0) + 1
    return tuple(GuardrailState(*key, counts[key]) for key in sorted(counts))
