"""Write the differences of two datasets as one HTML file, which loads nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jinja2

from lyra_data.dataset.comparison.differences import DatasetDifference, NumberShift
from lyra_data.dataset.comparison.words import amounts_in_words, number_in_words, scene_in_words
from lyra_data.engine.atomic import storage_errors, write_atomically
from lyra_data.engine.page_templates import template_environment
from lyra_data.scene.quality import NUMBERS

PAGE, STYLE = "page.html.j2", "page.css"
MAX_SCENES = 500
"""Scenes in a list of the page; the rest is counted (--json has all)."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """One dataset's spread of a number, as shares of the width of both: 5 %, median, 95 %."""

    low: float
    middle: float
    high: float


def write_page(difference: DatasetDifference, path: Path) -> None:
    """Write the page; the same differences give the same bytes.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    text = _template().render(
        difference=difference,
        style=(Path(__file__).parent / STYLE).read_text(encoding="utf-8"),
        spreads={shift.name: _spreads(shift) for shift in difference.numbers},
        max_scenes=MAX_SCENES,
    )
    with storage_errors(path), write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _spreads(shift: NumberShift) -> tuple[Spread | None, ...]:
    """Return where the quantiles of A and of B lie between the least and the most of both."""
    values = [value for spread in shift.spreads for value in spread.values]
    if not values:
        return None, None
    least, width = min(values), max(values) - min(values)

    def share(value: float) -> float:
        return round(100 * (value - least) / width, 2) if width > 0 else 50.0

    return tuple(
        Spread(*(share(spread.values[level]) for level in (1, 2, 3))) if spread.values else None
        for spread in shift.spreads
    )


def _title(name: str) -> dict[str, Any]:
    """Return how a number is called, its unit and its meaning; a column that is none has a name."""
    number = NUMBERS.get(name)
    if number is None:
        return {"title": name.replace("_", " "), "unit": "", "meaning": ""}
    title = f"{number.group}: {number.title}"
    return {"title": title, "unit": number.unit, "meaning": number.meaning}


def _template() -> jinja2.Template:
    environment = template_environment("lyra_data.dataset.comparison")
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "megabytes": lambda size: f"{size / 1e6:,.2f}",
        "number": number_in_words,
        "amounts": amounts_in_words,
        "scene": scene_in_words,
        "titled": _title,
    }
    return environment.get_template(PAGE)
