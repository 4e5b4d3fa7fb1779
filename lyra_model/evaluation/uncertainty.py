"""Uncertainty of an evaluation: intervals over its scenes, and of differences from the decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lyra_model.evaluation.scene_evaluation import DECODER
from lyra_model.evaluation.scene_result import SceneResult, ScoresByMethod
from lyra_model.metrics.intervals import (
    LEVEL,
    NUM_RESAMPLES,
    Interval,
    bootstrap_interval,
    paired_difference,
)
from lyra_model.metrics.scores import Scores

SEED = 0
"""The seed of every interval: the same figures have the same intervals."""

METRICS = ("psnr_db", "psnr_known_db", "ssim", "depth_abs_rel", "depth_within_delta")
COLUMNS: dict[str, Callable[[SceneResult], ScoresByMethod | None]] = {
    "held_out_frames": lambda scene: scene.held_out,
    "real_photos": lambda scene: scene.real,
}


def uncertainty_of(scenes: Sequence[SceneResult]) -> dict[str, Any]:
    """Return the intervals of all means over scenes, as evaluation.json has them beside these.

    A scene counts by its frames, as it does in the means. `differences` are the decoder's figure
    minus another method's, scene by scene; the higher is the better one but for depth_abs_rel.
    Where there is no interval, as of one scene, a difference has its mean alone.
    """
    return {
        "level": LEVEL,
        "num_resamples": NUM_RESAMPLES,
        "seed": SEED,
        "drawn": "scenes",
        **{name: _column(list(filter(None, map(of, scenes)))) for name, of in COLUMNS.items()},
    }


def interval_as_json(interval: Interval) -> dict[str, float | int | None]:
    """Return an interval with six significant digits; None for what JSON has no number for."""
    return {
        "mean": rounded(interval.mean),
        "low": None if interval.low is None else rounded(interval.low),
        "high": None if interval.high is None else rounded(interval.high),
        "num_scenes": interval.num,
    }


def rounded(value: float) -> float | None:
    """Return a figure with six significant digits; None for infinity and NaN, unknown to JSON."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _column(scenes: Sequence[ScoresByMethod]) -> dict[str, Any]:
    methods = list(scenes[0]) if scenes else []
    return {
        "num_scenes": len(scenes),
        "intervals": {method: _intervals(scenes, method) for method in methods},
        "differences": {
            method: {metric: _difference(scenes, method, metric) for metric in METRICS}
            for method in methods
            if method != DECODER and DECODER in methods
        },
    }


def _intervals(scenes: Sequence[ScoresByMethod], method: str) -> dict[str, dict[str, Any]]:
    """Return the intervals of a method by metric, where there are any."""
    intervals = {}
    for metric in METRICS:
        means, weights = _means([getattr(scores[method], metric) for scores in scenes])
        interval = bootstrap_interval(means, seed=SEED, weights=weights)
        if interval.low is not None:
            intervals[metric] = interval_as_json(interval)
    return intervals


def _difference(scenes: Sequence[ScoresByMethod], method: str, metric: str) -> dict[str, Any]:
    ours, weights = _means([getattr(scores[DECODER], metric) for scores in scenes])
    theirs, _ = _means([getattr(scores[method], metric) for scores in scenes])
    return interval_as_json(paired_difference(ours, theirs, seed=SEED, weights=weights))


def _means(
    scores: Sequence[Scores],
) -> tuple[Float[np.ndarray, " scene"], Float[np.ndarray, " scene"]]:
    """Return the mean of every scene and the number of frames behind it; a scene without any: NaN,
    which is left out, and 1."""
    counts = [int((~one.values.isnan()).sum()) for one in scores]
    return np.array([one.mean for one in scores]), np.maximum(counts, 1).astype(np.float64)
