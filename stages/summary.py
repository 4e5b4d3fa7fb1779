"""Summary: what a stage did, for people (a few lines) and for machines (one JSON object)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType


@dataclass(frozen=True)
class Summary:
    """What a stage tells when it is done.

    Attributes:
        stage: the stage's name.
        headline: one sentence.
        facts: plain JSON values; numbers that JSON has no word for become null.
        details: rich renderables printed under the headline.
    """

    stage: str
    headline: str
    facts: dict[str, Any] = field(default_factory=dict)
    details: tuple[RenderableType, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"stage": self.stage, "headline": self.headline, **_sayable(self.facts)}

    def show(self, console: Console) -> None:
        console.print(f"[bold green]{self.stage}[/] {self.headline}", highlight=False)
        for detail in self.details:
            console.print(detail)


def _sayable(value: Any) -> Any:
    """JSON knows no NaN and no infinity, and programs that read it refuse them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _sayable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(one) for one in value]
    return value
