"""The report's main numbers as a table for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import MethodScores
from lyra_model.evaluation.report.standings import COLUMNS, METRICS, Column, best_of, notes_of

_SHORT_TITLES: dict[Column, str] = {"held_out": "held out", "real_photo": "real photo"}


def metrics_table(methods: tuple[MethodScores, ...]) -> Table:
    """Return methods against metrics, the best in bold, without columns that were not measured."""
    columns: list[Column] = [
        column for column in COLUMNS if any(getattr(row, column) is not None for row in methods)
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left")
    table.add_column("method", overflow="fold", ratio=1)
    for column in columns:
        for metric in METRICS:
            heading = metric.heading.replace("depth ", "")
            group = _SHORT_TITLES[column] if metric is METRICS[0] else ""
            table.add_column(f"{group}\n{heading}", justify="right", no_wrap=True)
    best = best_of(methods)
    marks = {(m, c): i for i, (m, c, _) in enumerate(notes_of(methods), start=1)}
    for row in methods:
        cells = []
        for column in columns:
            for metric in METRICS:
                text = metric.written(getattr(row, column))
                bold = (row.method, column, metric.name) in best
                cells.append(Text(text, "bold green" if bold else ""))
            if (row.method, column) in marks:
                cells[-len(METRICS)].append(f" [{marks[row.method, column]}]", "not bold default")
        table.add_row(Text(row.method), *cells)
    table.caption = "; ".join(_counted_pixels(methods, column) for column in columns)
    return table


def summary_lines(
    methods: tuple[MethodScores, ...], findings: Sequence[str]
) -> list[RenderableType]:
    """Return the table, its notes and the findings, one below the other."""
    notes = [Text(line) for line in _footnotes(methods)]
    return [metrics_table(methods), *notes, *(Text(f"• {finding}") for finding in findings)]


def _footnotes(methods: tuple[MethodScores, ...]) -> list[str]:
    """Return the notes that the table's numbers in brackets point to."""
    return [f"[{i}] {note}" for i, (_, _, note) in enumerate(notes_of(methods), start=1)]


def _counted_pixels(methods: tuple[MethodScores, ...], column: Column) -> str:
    scores = [score for row in methods if (score := getattr(row, column)) is not None]
    pixels = numbers.count(max(score.num_pixels for score in scores))
    return f"{_SHORT_TITLES[column]}: {pixels} pixels counted"
