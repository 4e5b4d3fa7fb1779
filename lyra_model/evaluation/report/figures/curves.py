"""Training curves as inline SVG: one colour a phase, a smoothed line over the faint raw one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup, escape

WIDTH, HEIGHT = 540, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 26, 40
NUM_COLOURS = 6
"""Classes series-0 .. series-5 of report.css; further phases begin again."""

_SMOOTHING_SHARE = 0.08  # of a phase's points: the window of the running mean
_MOST_POINTS = 400  # drawn per line: about one every other pixel


@dataclass(frozen=True)
class Curve:
    """One phase of one quantity: `values` at the rising `steps`."""

    name: str
    steps: Int[np.ndarray, " step"]
    values: Float[np.ndarray, " step"]


@dataclass(frozen=True)
class _Axis:
    """A linear map from values to pixels; logarithmic on request."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (self._scaled(v) for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def draw_curves(
    curves: list[Curve],
    *,
    y_label: str,
    description: str,
    logarithmic: bool = False,
    x_label: str = "training step",
    titles_in_chart: bool = True,
) -> Markup:
    """Draw curves over training steps.

    Args:
        x_label: quantity and unit, written under the axis.
        titles_in_chart: each curve's name stands where it starts.
        y_label: quantity and unit, written above the axis.
        description: text for a reader who cannot see the picture.
        logarithmic: values must then be positive; others are not drawn.
    """
    curves = [_drawable(curve, logarithmic=logarithmic) for curve in curves]
    curves = [curve for curve in curves if len(curve.steps)]
    if not curves:
        return Markup("")
    x = _Axis(0, max(1, *(float(c.steps.max()) for c in curves)), LEFT, WIDTH - RIGHT)
    low, high = _value_range(curves, logarithmic=logarithmic)
    y = _Axis(low, high, HEIGHT - BOTTOM, TOP, logarithmic)
    body = [_grid(x, y)]
    for index, curve in enumerate(curves):
        body.append(_curve(curve, x, y, index % NUM_COLOURS, with_title=titles_in_chart))
    body.append(f'<text class="axis" x="{LEFT}" y="12">{escape(y_label)}</text>')
    body.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
    )
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(description)}">{"".join(body)}</svg>'
    )


def running_mean(values: Float[np.ndarray, " step"], window: int) -> Float[np.ndarray, " step"]:
    """Return the mean over a centred window, narrower at both ends: it never looks outside."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    reach = np.minimum(np.minimum(index, index[::-1]), window // 2)
    return (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)


def _drawable(curve: Curve, *, logarithmic: bool) -> Curve:
    keep = np.isfinite(curve.values) & ((curve.values > 0) | (not logarithmic))
    return Curve(curve.name, curve.steps[keep], curve.values[keep])


def _value_range(curves: list[Curve], *, logarithmic: bool) -> tuple[float, float]:
    values = np.concatenate([curve.values for curve in curves])
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.1, high * 1.1
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _curve(curve: Curve, x: _Axis, y: _Axis, colour: int, *, with_title: bool) -> str:
    window = max(1, round(_SMOOTHING_SHARE * len(curve.values)))
    values = np.log(curve.values) if y.logarithmic else curve.values
    smooth = running_mean(values, window)
    smooth = np.exp(smooth) if y.logarithmic else smooth
    start = x(float(curve.steps[0]))
    title = (
        f'<line class="phase" x1="{start:.1f}" x2="{start:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text class="phase-name" x="{start + 6:.1f}" y="{TOP + 11}">{escape(curve.name)}</text>'
    )
    return (
        f'<g class="series-{colour}">'
        f'<polyline class="raw" points="{_points(curve.steps, curve.values, x, y)}"/>'
        f'<polyline class="smooth" points="{_points(curve.steps, smooth, x, y)}"/>'
        f"{title if with_title else ''}</g>"
    )


def _points(
    steps: Int[np.ndarray, " step"], values: Float[np.ndarray, " step"], x: _Axis, y: _Axis
) -> str:
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _MOST_POINTS)).round())
    return " ".join(
        f"{x(float(steps[i])):.1f},{y(float(values[i])):.1f}" for i in chosen.astype(int)
    )


def _grid(x: _Axis, y: _Axis) -> str:
    across = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" '
        f'y2="{y(value):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        for value in round_ticks(y.low, y.high, logarithmic=y.logarithmic)
    ]
    below = [
        f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" '
        f'text-anchor="middle">{value:.0f}</text>'
        for value in round_ticks(x.low, x.high, logarithmic=False)
        if value == round(value)
    ]
    return "".join(across + below)


def round_ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    """Return round values within [low, high]: 1, 2, 5 times powers of ten, about five of them."""
    if logarithmic:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        factors = (1, 2, 5) if len(decades) <= 4 else (1,)
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 2:
            return inside
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]
