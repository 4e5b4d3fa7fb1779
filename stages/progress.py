"""Progress with rate and time left, on standard error: a bar, or lines where no terminal is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta

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


SECONDS_BETWEEN_LINES = 30.0
"""Lines of a log are no more than this apart, but for the last one of each piece of work."""


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


class LineProgress:
    """Writes lines for a log (see lyra_data.engine.progress.Progress).

    Args:
        clock: seconds of any beginning.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._description, self._unit, self._note = "", "", ""
        self._total = self._done = 0
        self._began = self._written = 0.0
        self._is_open = False

    def start(self, description: str, total: int, unit: str) -> None:
        self.finish()
        self._description, self._total, self._unit, self._note = description, total, unit, ""
        self._done, self._is_open = 0, True
        self._began = self._written = self._clock()

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done, self._note = self._done + count, note
        if self._clock() - self._written >= SECONDS_BETWEEN_LINES:
            self._write()

    def finish(self) -> None:
        if self._is_open:
            self._write()
            self._is_open = False

    def _write(self) -> None:
        self._written = self._clock()
        passed = self._written - self._began
        words = [f"{self._description} {self._done}/{self._total} {self._unit}", _clock(passed)]
        if 0 < self._done < self._total:
            words.append(f"{_clock(passed * (self._total - self._done) / self._done)} left")
        line = ", ".join([*words, *filter(None, [self._note])])
        self._console.print(Text(line), soft_wrap=True)


def _clock(seconds: float) -> str:
    """Return a duration as h:mm:ss."""
    return str(timedelta(seconds=round(seconds)))


class RichProgress:
    """Draws one live bar at a time on a terminal (see lyra_data.engine.progress.Progress)."""

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
