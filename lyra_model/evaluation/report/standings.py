"""Standings: the best of every column and the headline, read off the metrics, never by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import MethodScores, Score

Column = Literal["held_out", "real_photo"]

COLUMNS: tuple[Column, ...] = ("held_out", "real_photo")

COLUMN_TITLES: dict[Column, str] = {"held_out": "Held-out frames", "real_photo": "Real photo"}

_HEADLINE_ROLES = ("decoder", "copied", "warped", "fitted")


@dataclass(frozen=True)
class Metric:
    """One number of a score: its attribute, how it is headed and written, which way is better."""

    name: Literal["psnr_db", "ssim", "depth_abs_rel"]
    heading: str
    higher_is_better: bool

    def of(self, score: Score | None) -> float | None:
        """Return this number of a score; None where there is none."""
        return None if score is None else getattr(score, self.name)

    def written(self, score: Score | None) -> str:
        """Return this number of a score as it is printed."""
        write = numbers.decibels if self.name == "psnr_db" else numbers.ratio
        return write(self.of(score))


METRICS = (
    Metric("psnr_db", "PSNR dB", True),
    Metric("ssim", "SSIM", True),
    Metric("depth_abs_rel", "depth AbsRel", False),
)


@dataclass(frozen=True)
class HeadlineBar:
    """One method of a headline; `share` of the greatest PSNR, 0..1, is the bar's length."""

    method: str
    psnr_db: float
    share: float
    is_decoder: bool
    note: str


@dataclass(frozen=True)
class Headline:
    """PSNR of the decoder beside its baselines in one column; no bars: nothing was measured."""

    title: str
    bars: tuple[HeadlineBar, ...]
    num_pixels: int


def headline(methods: tuple[MethodScores, ...], column: Column) -> Headline:
    """Return the bars of the decoder and its baselines, decoder first."""
    rows = [
        (row, score)
        for role in _HEADLINE_ROLES
        for row in methods
        if row.role == role and (score := getattr(row, column)) is not None
    ]
    greatest = max((score.psnr_db for _, score in rows), default=1.0)
    bars = tuple(
        HeadlineBar(
            method=row.method,
            psnr_db=score.psnr_db,
            share=max(0.0, score.psnr_db / greatest) if greatest > 0 else 0.0,
            is_decoder=row.role == "decoder",
            note=getattr(row, f"{column}_note"),
        )
        for row, score in rows
    )
    num_pixels = rows[0][1].num_pixels if rows else 0
    return Headline(COLUMN_TITLES[column], bars, num_pixels)


def best_of(methods: tuple[MethodScores, ...]) -> set[tuple[str, Column, str]]:
    """Return (method, column, metric) of every best number, as printed: ties are all best."""
    best: set[tuple[str, Column, str]] = set()
    for column in COLUMNS:
        for metric in METRICS:
            values = {
                row.method: value
                for row in methods
                if (value := metric.of(getattr(row, column))) is not None and value == value
            }
            if len(values) < 2:
                continue
            choose = max if metric.higher_is_better else min
            winner = choose(values, key=lambda method: values[method])
            printed = {row.method: metric.written(getattr(row, column)) for row in methods}
            best |= {(m, column, metric.name) for m in values if printed[m] == printed[winner]}
    return best


def notes_of(methods: tuple[MethodScores, ...]) -> list[tuple[str, Column, str]]:
    """Return (method, column, note) in the table's order; notes are numbered from 1."""
    return [
        (row.method, column, note)
        for row in methods
        for column in COLUMNS
        if (note := getattr(row, f"{column}_note"))
    ]
