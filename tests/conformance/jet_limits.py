"""The depths of the first and the last colour of a jet picture, read off its colours."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack
from torch import Tensor

LAST = 255
"""Codes go from 0 to this; code = floor(LAST * (depth - near) / (far - near))."""

Limits = tuple[float, float]


def jet_limits(
    depth: Tensor, colours: Tensor, coloured: Callable[[Limits], Tensor]
) -> Limits | None:
    """Limits whose picture agrees best with `colours`; None where even that is another picture.

    A single wrong colour does not move them: the sum of what contradicts them is the least.

    Args:
        depth: [scene frame height width].
        colours: bytes [scene frame height width 3], blue, green, red.
        coloured: makes the picture, [scene frame 3 height width], of given limits.
    """
    values, codes = depth.double().numpy().ravel(), _codes(colours.reshape(-1, 3).numpy())
    fitted = _fit(values, codes)
    if fitted is None:
        return None
    # Limits are mostly round numbers, and a fit is free to miss them by less than a colour.
    near, far = fitted
    rounded = [(round(near, digits), round(far, digits)) for digits in range(6)]
    candidates = [limits for limits in (*rounded, fitted) if limits[0] < limits[1]]
    shares = [_agreement(coloured(limits), colours) for limits in candidates]
    best = int(np.argmax(shares))
    return candidates[best] if shares[best] > 0.5 else None


def _agreement(picture: Tensor, colours: Tensor) -> float:
    return float((picture.movedim(2, -1) == colours).all(-1).double().mean())


def _codes(colours: np.ndarray) -> np.ndarray:
    """Place in the colour table [pixel]; -1 where a colour is not in it."""
    table = cv2.applyColorMap(np.arange(LAST + 1, dtype=np.uint8)[None], cv2.COLORMAP_JET)[0]
    places = {tuple(colour): code for code, colour in enumerate(table.tolist())}
    return np.asarray([places.get(tuple(colour), -1) for colour in colours.tolist()])


def _fit(values: np.ndarray, codes: np.ndarray) -> Limits | None:
    """near and far with near + step * code <= depth < near + step * (code + 1) as far as possible.

    A linear program in near, step and by how much each pixel contradicts them. Pixels of the first
    and the last colour bound one side only.
    """
    usable = (codes >= 0) & np.isfinite(values)
    lower, upper = usable & (codes > 0), usable & (codes < LAST)
    if not (lower & upper).any():
        return None
    rows = [
        (np.stack([np.ones(lower.sum()), codes[lower]], 1), values[lower]),
        (-np.stack([np.ones(upper.sum()), codes[upper] + 1], 1), -values[upper]),
    ]
    matrix = np.concatenate([row[0] for row in rows]).astype(np.float64)
    bounds = np.concatenate([row[1] for row in rows])
    step = np.ptp(values[usable]) / LAST
    found = _solve(matrix, bounds, margin=None)
    if found is None:
        return None
    kept = matrix @ found <= bounds + 1e-6 * max(step, 1e-6) + 1e-6 * np.abs(bounds)
    middle = _solve(matrix[kept], bounds[kept], margin=step)
    near, step = found if middle is None else middle
    return float(near), float(near + LAST * step)


def _solve(matrix: np.ndarray, bounds: np.ndarray, margin: float | None) -> np.ndarray | None:
    """(near, step) of least contradiction, or, given a largest margin, furthest from any."""
    num_rows = len(bounds)
    if margin is None:
        left = hstack([csr_array(matrix), -eye_array(num_rows)])
        cost = np.concatenate([np.zeros(2), np.ones(num_rows)])
        ranges = [(None, None), (0, None), *[(0, None)] * num_rows]
    else:
        left = np.concatenate([matrix, np.ones((num_rows, 1))], axis=1)
        cost = np.asarray([0.0, 0.0, -1.0])
        ranges = [(None, None), (0, None), (None, margin)]
    solution = linprog(cost, A_ub=left, b_ub=bounds, bounds=ranges)
    return solution.x[:2] if solution.success else None
