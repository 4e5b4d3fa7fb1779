"""Describe a licence by what it asks and allows, as far as its text was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal["yes", "no", "unstated"]
"""unstated: permission is given, and the text sets this use no limit and does not name it."""

Attribution = Literal["required", "asked", "none"]

OTHER = "other"
"""The Hub's word for a licence that is not in its list."""


ALL_RIGHTS_RESERVED = "all-rights-reserved"


@dataclass(frozen=True)
class Licence:
    """One licence, of a work or of a model's weights.

    Attributes:
        identifier: of SPDX where SPDX lists it, else ours.
        is_spdx: whether SPDX lists it.
        hub_name: as the Hub's card metadata spell it; OTHER where the Hub does not list it.
        link: where its text stands; "" where it has none of its own.
        redistribution: whether the work, changed or not, may be passed on.
        commercial: whether it may be used for profit. Of a model: whether the model may.
        research_only: it is for research alone, which is narrower than without profit.
        adaptations: whether changed works may be passed on. A view is a changed photo.
        share_alike: what is made of it must have the same licence.
        outputs: what a model's licence says of what the model makes; "" for works and where it
            says nothing.
        read_in: the text that this was read from.
    """

    identifier: str
    title: str
    is_spdx: bool
    hub_name: str
    link: str
    redistribution: Answer
    commercial: Answer
    research_only: bool
    adaptations: bool
    attribution: Attribution
    share_alike: bool
    outputs: str
    read_in: str

    @property
    def is_private(self) -> bool:
        """Return whether it grants nobody anything: such data stay in a private repository."""
        return self.identifier == ALL_RIGHTS_RESERVED

    @property
    def family(self) -> str:
        """Return the identifier without its version."""
        head, _, tail = self.identifier.rpartition("-")
        return head if head and tail[:1].isdigit() else self.identifier

    @property
    def version(self) -> tuple[int, ...]:
        """Return the version in the identifier; () where it has none."""
        tail = self.identifier.rpartition("-")[2]
        return tuple(map(int, tail.split("."))) if tail.replace(".", "").isdecimal() else ()
