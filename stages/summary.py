"""Summary: what a verb did, for people (a few lines) and for machines (one JSON object)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


@dataclass(frozen=True)
class Summary:
    """The result of a verb, in words and in numbers.

    Attributes:
        stage: the verb's name.
        headline: one sentence.
        facts: plain JSON values; numbers that JSON has no word for become null.
        details: rich renderables printed under the headline; a text is printed as it stands.
    """

    stage: str
    headline: str
    facts: dict[str, Any] = field(default_factory=dict)
    details: tuple[RenderableType, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values: stage, headline and all facts."""
        return {"stage": self.stage, "headline": self.headline, **_finite(self.facts)}

    def show(self, console: Console) -> None:
        """Print the headline, and the details below it."""
        from rich.text import Text

        headline = Text.assemble((self.stage, "bold green"), " ", self.headline)
        console.print(headline, soft_wrap=True)
        for detail in self.details:
            shown = Text(detail) if isinstance(detail, str) else detail
            # A path is copied in one go: a text of one says so by not being wrapped.
            console.print(shown, soft_wrap=getattr(shown, "no_wrap", None) is True)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 scene", "2 scenes", "1,000 scenes"."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def size_text(num_bytes: int) -> str:
    """Return a size in words: "12 bytes", "3.4 MB"."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    size, unit = float(num_bytes), 0
    while size >= 1000 and unit < len(units) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {units[unit]}" if unit == 0 else f"{size:.1f} {units[unit]}"


def _finite(value: Any) -> Any:
    """Return the value with null for NaN and infinity, which JSON readers refuse."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
