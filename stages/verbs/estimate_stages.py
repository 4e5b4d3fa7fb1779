"""Estimate every stage: seconds, bytes and peak memory, each with where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from lyra_data.generation.estimate import Estimate
from lyra_data.generation.estimate_figures import Figure
from stages.stage_costs import StageCost
from stages.stage_work import StageWork

WIDTH = 80
FORMULA = "formula: docs/scale.md"
LETTERS = {"measured": "m", "formula": "f", "published": "p", "counted": "f", "unknown": ""}
LEGEND = (
    "m: measured here, when the stage last did something; f: by a formula of docs/scale.md; "
    "p: published. Time is of one core or GPU, of all units. Unknown: run it on one scene first."
)


@dataclass(frozen=True)
class StageEstimate:
    """Tells what one stage would take, from nothing.

    Attributes:
        unit: what the seconds are of: "CPU core" or "GPU".
        seconds: of one such unit.
        output_bytes: of what the stage leaves in outputs or reports, once.
        peak_memory_bytes: of one process.
    """

    work: StageWork
    unit: str
    seconds: Figure
    output_bytes: Figure
    peak_memory_bytes: Figure

    def as_json(self) -> dict[str, Any]:
        figures = {
            "seconds": self.seconds,
            "output_bytes": self.output_bytes,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        values: dict[str, Any] = {"units": self.work.units, "noun": self.work.noun}
        values |= {"unit": self.unit, "pixels": self.work.pixels}
        for name, figure in figures.items():
            values |= {name: figure.value, f"{name}_source": figure.source}
        return values


def estimate_stages(
    works: Mapping[str, StageWork],
    costs: Mapping[str, StageCost],
    generate: Estimate,
    *,
    device: str | None,
    on_gpu: bool,
) -> dict[str, StageEstimate]:
    """Estimate all stages by what they took here, else by formulas, else not at all.

    Args:
        generate: of its views, whose costs are kept one by one.
        device: name of what will work; None: it is not on this machine.
        on_gpu: whether it is a GPU: the formulas are of CPUs.
    """
    estimates = {}
    for name, work in works.items():
        cost = costs.get(name)
        if cost is not None and cost.device != device:
            cost = None
        estimates[name] = StageEstimate(
            work,
            "GPU" if on_gpu and name != "package" else "CPU core",
            _seconds(work, cost, is_formula=not on_gpu or name == "package"),
            _output_bytes(work, cost),
            _peak(work, cost, is_formula=not on_gpu or name == "package"),
        )
    return estimates | {"generate": _of_views(estimates["generate"], generate)}


def _of_views(by_stage: StageEstimate, views: Estimate) -> StageEstimate:
    """Return generate's estimate by the costs of its views, which are more than one last run."""
    figures, pixels = views.figures, views.work.pixels
    peak = by_stage.peak_memory_bytes
    if peak.value is None:
        peak = figures.peak_memory_bytes
    return StageEstimate(
        by_stage.work,
        figures.unit,
        _times(figures.seconds_per_pixel, pixels),
        _times(figures.bytes_per_pixel, pixels),
        peak,
    )


def _seconds(work: StageWork, cost: StageCost | None, *, is_formula: bool) -> Figure:
    if cost is not None:
        spent = cost.core_seconds if is_formula else cost.seconds
        per_pixel = spent / (cost.units * cost.unit_pixels)
        return Figure(per_pixel * work.pixels, _measured(cost, work))
    if is_formula and work.core_seconds is not None:
        return Figure(work.core_seconds, FORMULA)
    return _unknown()


def _output_bytes(work: StageWork, cost: StageCost | None) -> Figure:
    if cost is not None:
        return Figure(cost.output_bytes / cost.output_pixels * work.pixels, _measured(cost, work))
    if work.output_bytes is not None:
        return Figure(work.output_bytes, FORMULA)
    return _unknown()


def _peak(work: StageWork, cost: StageCost | None, *, is_formula: bool) -> Figure:
    """Return the memory of the last run, changed by what the formula says that sizes do."""
    if cost is not None and cost.formula_bytes is not None and work.memory_bytes is not None:
        changed = cost.peak_memory_bytes + work.memory_bytes - cost.formula_bytes
        return Figure(changed, _measured(cost, work))
    if is_formula and work.memory_bytes is not None:
        return Figure(work.memory_bytes, FORMULA)
    return _unknown()


def _measured(cost: StageCost, work: StageWork) -> str:
    made = f"{cost.units:,} {work.noun}{'s' if cost.units != 1 else ''}"
    return f"measured: the last run here made {made} ({cost.device})"


def _unknown() -> Figure:
    return Figure(None, "unknown: run the stage on one scene first")


def _times(figure: Figure, number: float) -> Figure:
    return Figure(None if figure.value is None else figure.value * number, figure.source)


def stages_table(estimates: Mapping[str, StageEstimate]) -> Table:
    """Return the estimates as a table of 80 columns."""
    table = Table(width=WIDTH, box=None, pad_edge=False, title="every stage", title_justify="left")
    table.add_column("stage", overflow="fold")
    for column in ("units", "time", "output", "memory at the peak"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, one in estimates.items():
        noun = one.work.noun + ("s" if one.work.units != 1 else "")
        table.add_row(
            name,
            f"{one.work.units:,} {noun}",
            _marked(one.seconds, duration_text),
            _marked(one.output_bytes, bytes_text),
            _marked(one.peak_memory_bytes, bytes_text),
        )
    return table


def _marked(figure: Figure, in_words: Any) -> str:
    if figure.value is None:
        return "unknown  "
    return f"{in_words(figure.value)} {LETTERS[figure.source.partition(':')[0]]}"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest unit: "12 s", "3.4 h", "1,200 days"."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return (
                f"{seconds / size:,.3g} {unit}"
                if seconds < 1000 * size
                else (f"{seconds / size:,.0f} {unit}")
            )
    return f"{seconds:.3g} s"


def bytes_text(number: float) -> str:
    """Return a size in its largest unit: "12 B", "3.4 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB" if number < 1000 else f"{number:,.0f} TB"
