"""A progress bar with rate and time left, on standard error."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

SPEED_PERIOD_SECONDS = 6 * 3600.0
"""Rates and times left are of this last while: a view of a video model may take twenty minutes."""


class RateColumn(ProgressColumn):
    """Units per second, or seconds per unit where that reads better."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed:
            return Text("-", style="dim")
        if speed >= 1:
            return Text(f"{speed:.1f} {unit}/s", style="cyan")
        return Text(f"{1 / speed:.1f} s/{unit.removesuffix('s')}", style="cyan")


class BarOverNote(Progress):
    """One bar, and its note in a line below: what a step of training tells fills one."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["note"]:
                yield Text(f"  {task.fields['note']}", "dim", overflow="ellipsis", no_wrap=True)


class RichProgress:
    """Draws one bar at a time (see lyra_data.engine.progress.Progress).

    On a terminal the bar is live; elsewhere only its last state is printed.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def start(self, description: str, total: int, unit: str) -> None:
        self.finish()
        self._bar = BarOverNote(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            RateColumn(Column(no_wrap=True)),
            TimeElapsedColumn(),
            TextColumn("<"),
            TimeRemainingColumn(),
            console=self._console,
            expand=False,
            speed_estimate_period=SPEED_PERIOD_SECONDS,
        )
        self._bar.add_task(description, total=total, unit=unit, note="")
        self._bar.start()

    def advance(self, count: int = 1, note: str = "") -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=count, note=note)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
