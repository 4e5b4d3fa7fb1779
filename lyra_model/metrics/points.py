"""Metrics of geometry: how far two clouds of points are apart, in the unit of the points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree


@dataclass(frozen=True)
class PointScores:
    """Agreement of predicted points with true ones.

    Attributes:
        accuracy: mean distance from a predicted point to the nearest true one.
        completeness: mean distance from a true point to the nearest predicted one.
        precision, recall, f1: by threshold; shares of predicted (true) points that have a true
            (predicted) one nearer than the threshold, and their harmonic mean; 1 is best.
    """

    accuracy: float
    completeness: float
    precision: dict[float, float]
    recall: dict[float, float]
    f1: dict[float, float]

    @property
    def chamfer(self) -> float:
        """Return the mean of accuracy and completeness, of plain distances; others add the two or
        square the distances."""
        return (self.accuracy + self.completeness) / 2


def point_scores(
    predicted: Float[np.ndarray, "predicted 3"],
    target: Float[np.ndarray, "target 3"],
    *,
    thresholds: Sequence[float],
) -> PointScores:
    """Return Chamfer distance and F1 of two clouds in one frame of coordinates and one unit.

    Nothing is aligned, sampled or cropped here: every point counts once, so clouds that were
    sampled otherwise have other figures. A distance equal to the threshold is not within it, as in
    Tanks and Temples (Knapitsch et al. 2017). Without points on either side all distances are
    infinite and all shares 0.
    """
    if len(predicted) == 0 or len(target) == 0:
        nothing = dict.fromkeys(map(float, thresholds), 0.0)
        return PointScores(math.inf, math.inf, nothing, dict(nothing), dict(nothing))
    to_target = _nearest_distances(predicted, target)
    to_predicted = _nearest_distances(target, predicted)
    precision = {float(limit): float((to_target < limit).mean()) for limit in thresholds}
    recall = {float(limit): float((to_predicted < limit).mean()) for limit in thresholds}
    return PointScores(
        accuracy=float(to_target.mean()),
        completeness=float(to_predicted.mean()),
        precision=precision,
        recall=recall,
        f1={limit: _harmonic_mean(precision[limit], recall[limit]) for limit in precision},
    )


def _nearest_distances(
    points: Float[np.ndarray, "point 3"], others: Float[np.ndarray, "other 3"]
) -> Float[np.ndarray, " point"]:
    return KDTree(others).query(points)[0]


def _harmonic_mean(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other > 0 else 0.0
