"""The report's main numbers as tables for a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import ReportContent
from lyra_model.evaluation.report.standings import COLUMNS, METRICS, Column, best_of, notes_of

_SHORT_TITLES: dict[Column, str] = {"held_out": "held out", "real_photo": "real photo"}


def print_summary(content: ReportContent, console: Console) -> None:
    """Metrics, their footnotes and the findings."""
    if content.methods:
        console.print(metrics_table(content))
    else:
        console.print("Nothing was measured.")
    for number, (_, _, note) in enumerate(notes_of(content.methods), start=1):
        console.print(Padding(Text(f"[{number}] {note}", style="dim"), (0, 0, 0, 1)))
    for finding in content.findings:
        bullet = Table.grid(padding=(0, 1))
        bullet.add_row("•", Text(finding))
        console.print(Padding(bullet, (0, 0, 0, 1)))


def metrics_table(content: ReportContent) -> Table:
    """Methods against metrics, the best in bold; columns that nothing was measured in are left
    out."""
    columns: list[Column] = [
        column
        for column in COLUMNS
        if any(getattr(row, column) is not None for row in content.methods)
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left")
    table.add_column("method", overflow="fold", ratio=1)
    for column in columns:
        for metric in METRICS:
            heading = metric.heading.replace("depth ", "")
            group = _SHORT_TITLES[column] if metric is METRICS[0] else ""
            table.add_column(f"{group}\n{heading}", justify="right", no_wrap=True)
    best = best_of(content.methods)
    marks = {(m, c): i for i, (m, c, _) in enumerate(notes_of(content.methods), start=1)}
    for row in content.methods:
        cells = []
        for column in columns:
            for metric in METRICS:
                text = metric.written(getattr(row, column))
                bold = (row.method, column, metric.name) in best
                cells.append(f"[bold green]{text}[/]" if bold else text)
            if (row.method, column) in marks:
                cells[-len(METRICS)] += escape(f" [{marks[row.method, column]}]")
        table.add_row(escape(row.method), *cells)
    table.caption = "; ".join(_counted(content, column) for column in columns)
    return table


def _counted(content: ReportContent, column: Column) -> str:
    scores = [score for row in content.methods if (score := getattr(row, column)) is not None]
    pixels = numbers.count(max(score.num_pixels for score in scores))
    return f"{_SHORT_TITLES[column]}: {pixels} pixels counted"
