"""Draw how a training went: PSNR by step, the phases one after another."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image

from lyra_data.clips.pictures.canvas import PALE, TEXT, Canvas, fitted

WIDTH, HEIGHT = 900, 320
MARGIN_LEFT, MARGIN = 60, 24
COLOURS = ((0, 98, 155), (196, 78, 0), (60, 130, 60), (130, 70, 140))
MOST_POINTS = 300
"""Points of a curve: each is the mean of the steps that it stands for."""


def training_curve_png(phases: Sequence[tuple[str, Sequence[float]]]) -> bytes:
    """Return a picture of the PSNR of each phase, by step; the same values give the same bytes.

    Args:
        phases: names, and dB by step; at least one has a finite value.
    """
    curves = [
        (name, [value for value in values if math.isfinite(value)]) for name, values in phases
    ]
    curves = [(name, values) for name, values in curves if values]
    every = [value for _, values in curves for value in values]
    low, high = math.floor(min(every)), math.ceil(max(every))
    high = max(high, low + 1)
    canvas = Canvas(WIDTH, HEIGHT)
    bottom = HEIGHT - MARGIN - TEXT
    tall, wide = bottom - MARGIN - TEXT, WIDTH - MARGIN_LEFT - MARGIN

    def height(value: float) -> float:
        return bottom - (value - low) / (high - low) * tall

    canvas.text("PSNR of the frames it was trained on, dB, by step", MARGIN_LEFT, 6)
    for level in range(5):
        value = low + (high - low) * level / 4
        canvas.draw.line(
            [(MARGIN_LEFT, height(value)), (WIDTH - MARGIN, height(value))], fill=(225, 225, 225)
        )
        canvas.text(f"{value:g}", MARGIN_LEFT - 8, round(height(value)), colour=PALE, anchor="rm")
    steps, before = len(every), 0
    for number, (name, values) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        left = MARGIN_LEFT + wide * before / steps
        right = MARGIN_LEFT + wide * (before + len(values)) / steps
        stride = max(1, len(values) // MOST_POINTS)
        means = [
            sum(values[at : at + stride]) / len(values[at : at + stride])
            for at in range(0, len(values), stride)
        ]
        points = [
            (left + (right - left) * (index + 0.5) / len(means), height(mean))
            for index, mean in enumerate(means)
        ]
        canvas.draw.line(points if len(points) > 1 else points * 2, fill=colour, width=2)
        title = fitted(f"{name}, {len(values)} steps", max(40, round(right - left) - 8))
        canvas.text(title, round(left) + 4, bottom + 4, colour=colour)
        before += len(values)
    file = io.BytesIO()
    Image.fromarray(canvas.pixels).save(file, format="PNG", optimize=True)
    return file.getvalue()
