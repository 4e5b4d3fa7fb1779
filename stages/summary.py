"""Summary: what a stage did, for people (a few lines) and for machines (one JSON object)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType


@dataclass(frozen=True)
class Summary:
    """What a stage tells when it is done.

    Attributes:
        stage: the stage's name.
        headline: one sentence.
        facts: plain JSON values.
        details: rich renderables printed under the headline.
    """

    stage: str
    headline: str
    facts: dict[str, Any] = field(default_factory=dict)
    details: tuple[RenderableType, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"stage": self.stage, "headline": self.headline, **self.facts}

    def show(self, console: Console) -> None:
        console.print(f"[bold green]{self.stage}[/] {self.headline}", highlight=False)
        for detail in self.details:
            console.print(detail)
