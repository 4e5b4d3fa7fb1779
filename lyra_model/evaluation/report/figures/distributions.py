"""Distributions over scenes as inline SVG: a histogram a method, one axis for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from lyra_model.evaluation.report.figures.curves import round_ticks
from lyra_model.evaluation.report.overview_content import Distribution

WIDTH, ROW_HEIGHT, TITLE_HEIGHT, AXIS_HEIGHT = 540, 44, 16, 36
_MARGIN = 12
_NUM_BINS = 36


def draw_distributions(
    rows: Sequence[Distribution], *, x_label: str, description: str, with_zero: bool = False
) -> Markup:
    """Draw a histogram a row; the mean as a line, its interval as a bar under it.

    Args:
        x_label: quantity and unit, written under the axis.
        description: text for a reader who cannot see the picture.
        with_zero: the axis holds 0, and a dashed line marks it.
    """
    finite = [row.values[np.isfinite(row.values)] for row in rows]
    values = np.concatenate(finite) if finite else np.zeros(0)
    if not len(values):
        return Markup("")
    low, high = float(values.min()), float(values.max())
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    spare = 0.03 * (high - low) or 0.5
    low, high = low - spare, high + spare
    height = len(rows) * (ROW_HEIGHT + TITLE_HEIGHT) + AXIS_HEIGHT
    bottom = height - AXIS_HEIGHT

    def across(value: float) -> float:
        return _MARGIN + (value - low) / (high - low) * (WIDTH - 2 * _MARGIN)

    parts = []
    for tick in round_ticks(low, high, logarithmic=False):
        x = across(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{_tick(tick)}</text>'
        )
    for index, (row, counted) in enumerate(zip(rows, finite, strict=True)):
        base = (index + 1) * (ROW_HEIGHT + TITLE_HEIGHT)
        parts.append(_histogram(row, counted, base, low, high, across))
    if with_zero:
        x = across(0.0)
        parts.append(f'<line class="zero" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
    parts.append(
        f'<text class="axis" x="{WIDTH / 2:.0f}" y="{height - 4}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )


def _histogram(row: Distribution, values: np.ndarray, base: int, low: float, high: float, across):
    counts, edges = np.histogram(values, bins=_NUM_BINS, range=(low, high))
    tallest = max(1, int(counts.max(initial=0)))
    bars = "".join(
        f'<rect x="{across(edges[i]):.1f}" width="{across(edges[i + 1]) - across(edges[i]):.1f}" '
        f'y="{base - ROW_HEIGHT * count / tallest:.1f}" '
        f'height="{ROW_HEIGHT * count / tallest:.1f}"/>'
        for i, count in enumerate(counts.tolist())
        if count
    )
    kind = "bars decoder" if row.is_decoder else "bars"
    drawn = f'<g class="{kind}">{bars}</g>'
    if row.low is not None and row.high is not None:
        drawn += (
            f'<line class="interval" x1="{across(row.low):.1f}" x2="{across(row.high):.1f}" '
            f'y1="{base - 3}" y2="{base - 3}"/>'
        )
    if row.mean is not None:
        x = across(row.mean)
        drawn += (
            f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="{base - ROW_HEIGHT}" y2="{base}"/>'
        )
    title = (
        f'<text class="name" x="{_MARGIN}" y="{base - ROW_HEIGHT - 4}">{escape(row.name)}</text>'
    )
    return f"{drawn}{title}"


def _tick(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
