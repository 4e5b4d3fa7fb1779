"""Quality table: the numbers measured of every view, each beside its limit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lyra_data.scene.quality import NUMBERS, Number
from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import SceneContent, TrajectoryResult

Standing = Literal["", "near", "beyond"]

NEAR = 0.1
"""A number this share of its limit away from it, or less, is marked."""

KNOWN_SHARE = Number(
    "known_fraction",
    "Cache",
    "known share",
    "",
    "share of pixels that came from the source photo, not from the teacher",
)
COLUMNS: tuple[Number, ...] = (KNOWN_SHARE, *NUMBERS.values())


@dataclass(frozen=True)
class Cell:
    """One number of one view."""

    written: str
    standing: Standing


@dataclass(frozen=True)
class QualityTable:
    """Columns in groups, a row of limits and a row a view.

    Attributes:
        groups: title and number of columns, in order.
        limits: as written, "" where a number has none.
    """

    groups: tuple[tuple[str, int], ...]
    columns: tuple[Number, ...]
    limits: tuple[str, ...]
    rows: tuple[tuple[TrajectoryResult, tuple[Cell, ...]], ...]

    @property
    def labels(self) -> list[str]:
        """Return each column's whole title, for where columns are no columns."""
        return [
            f"{column.group}: {column.title}{f' ({column.unit})' if column.unit else ''}"
            for column in self.columns
        ]

    @property
    def num_near(self) -> int:
        return sum(cell.standing != "" for _, cells in self.rows for cell in cells)


def quality_table(content: SceneContent) -> QualityTable:
    """Return the table of every view that was kept."""
    limits = content.quality_limits
    groups = itertools.groupby(COLUMNS, key=lambda column: column.group)
    return QualityTable(
        groups=tuple((group, len(list(columns))) for group, columns in groups),
        columns=COLUMNS,
        limits=tuple(_limit_written(column, limits) for column in COLUMNS),
        rows=tuple(
            (trajectory, tuple(_cell(column, trajectory, limits) for column in COLUMNS))
            for trajectory in content.trajectories
        ),
    )


def _cell(column: Number, trajectory: TrajectoryResult, limits: Mapping[str, float | None]) -> Cell:
    of = trajectory if column is KNOWN_SHARE else trajectory.quality
    value = getattr(of, column.name)
    return Cell(_written(column, value), standing_of(limits, column.name, value))


def standing_of(limits: Mapping[str, float | None], name: str, value: float | None) -> Standing:
    """Return whether a number is near a limit of its own, beyond it, or neither."""
    if value is None:
        return ""
    lowest, highest = (limits.get(f"{bound}_{name}") for bound in ("min", "max"))
    if lowest is not None and value < lowest * (1 + NEAR):
        return "beyond" if value < lowest else "near"
    if highest is not None and abs(value) > highest * (1 - NEAR):
        return "beyond" if abs(value) > highest else "near"
    return ""


def _limit_written(column: Number, limits: Mapping[str, float | None]) -> str:
    lowest, highest = (limits.get(f"{bound}_{column.name}") for bound in ("min", "max"))
    if lowest is not None:
        return f"≥\u202f{_written(column, lowest)}"
    return "" if highest is None else f"≤\u202f{_written(column, highest)}"


def _written(column: Number, value: float | None) -> str:
    if column is KNOWN_SHARE:
        return numbers.percent(value)
    if column.unit:
        return numbers.decibels(value)
    text = numbers.ratio(value)
    return text.removeprefix("-") if text == "-0.000" else text.replace("-", "\N{MINUS SIGN}")
