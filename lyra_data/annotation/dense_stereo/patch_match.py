"""PatchMatch stereo of one frame: sparse points are the start, planes at two sizes the result."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from lyra_data.annotation.dense_stereo.patch_match_kernels import improve_planes
from lyra_data.annotation.dense_stereo.views import StereoViews

COARSE_STRIDE, FINE_STRIDE = 2, 2
"""Pixels between a window's samples."""

COARSE_SPREADS = (0.2, 0.06, 0.02)
"""Relative size of the first random change of inverse depth in each pass at half size."""

FINE_SPREADS = (0.006,)
"""The same of the passes at full size, which only sharpen."""

NUM_DRAWS = 2

MARGIN = 1.6
"""Inverse depth is sought this factor beyond what the sparse points span."""


@dataclass(frozen=True)
class Seeds:
    """Sparse points that a frame sees.

    Attributes:
        positions: column and row in pixels of the full size.
        depths: z depth.
    """

    positions: np.ndarray
    depths: np.ndarray


@dataclass(frozen=True)
class FramePlanes:
    """The result of PatchMatch for one frame.

    Attributes:
        depth: z depth of every pixel, good or bad.
        cost: 0..1, one minus the correlation with the neighbours that agree best.
    """

    depth: Float32[np.ndarray, "height width"]
    cost: Float32[np.ndarray, "height width"]


def match_frame(
    full: StereoViews, half: StereoViews, frame: int, neighbours: list[int], seeds: Seeds
) -> FramePlanes:
    """Estimate the depth of one frame from its neighbours; the same input gives the same bytes."""
    num_best = max(1, (len(neighbours) + 1) // 2)
    inverse = 1 / np.quantile(seeds.depths, (0.01, 0.99))
    limits = np.array([inverse[0] * MARGIN, inverse[1] / MARGIN], np.float32)
    planes = _start(half, full.size, seeds)
    cost = np.ones(half.size, np.float32)
    _passes(
        half, frame, neighbours, num_best, COARSE_STRIDE, limits, planes, cost, COARSE_SPREADS, 0
    )
    planes = _enlarged(planes, full.size)
    cost = np.ones(full.size, np.float32)
    _passes(full, frame, neighbours, num_best, FINE_STRIDE, limits, planes, cost, FINE_SPREADS, 100)
    return FramePlanes(1 / planes[0], cost)


def _passes(
    views: StereoViews,
    frame: int,
    neighbours: list[int],
    num_best: int,
    stride: int,
    limits: np.ndarray,
    planes: np.ndarray,
    cost: np.ndarray,
    spreads: tuple[float, ...],
    first: int,
) -> None:
    grey = views.grey[frame].astype(np.float32)
    others = views.grey[neighbours].astype(np.float32)
    ways = [views.way(frame, other) for other in neighbours]
    turns = np.stack([turn for turn, _ in ways]).astype(np.float32)
    shifts = np.stack([shift for _, shift in ways]).astype(np.float32)
    fixed = (grey, others, turns, shifts, num_best, stride, limits, planes, cost)
    improve_planes(*fixed, -1, 0, np.float32(0))
    for sweep, spread in enumerate(spreads):
        improve_planes(*fixed, first + sweep, NUM_DRAWS, np.float32(spread))


def _start(half: StereoViews, full_size: tuple[int, int], seeds: Seeds) -> np.ndarray:
    """Return planes that face the camera, as deep as the nearest sparse point."""
    height, width = half.size
    scale = np.array([width / full_size[1], height / full_size[0]])
    positions = np.floor(seeds.positions * scale).astype(np.int64)
    inside = ((positions >= 0) & (positions < [width, height])).all(1)
    positions, inverse = positions[inside], 1 / seeds.depths[inside]
    away = np.ones((height, width), np.uint8)
    away[positions[:, 1], positions[:, 0]] = 0
    _, nearest = cv2.distanceTransformWithLabels(
        away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = nearest.astype(np.int64)
    by_label = np.ones(int(labels.max()) + 1)
    by_label[labels[positions[:, 1], positions[:, 0]]] = inverse
    planes = np.zeros((3, height, width), np.float32)
    planes[0] = by_label[labels]
    return planes


def _enlarged(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Carry planes of half size to the pixels of full size that lie under them."""
    height, width = size
    down, across = planes.shape[1] / height, planes.shape[2] / width
    rows, columns = (np.arange(height) + 0.5) * down, (np.arange(width) + 0.5) * across
    under = planes[:, rows.astype(int)][:, :, columns.astype(int)].copy()
    off_x = (columns - np.floor(columns) - 0.5).astype(np.float32)
    off_y = (rows - np.floor(rows) - 0.5).astype(np.float32)
    moved = under[0] + under[1] * off_x + under[2] * off_y[:, None]
    # A steep plane may pass through infinity within half a pixel: then it stays where it was
    under[0] = np.where(moved > 0.5 * under[0], moved, under[0])
    under[1] *= np.float32(across)
    under[2] *= np.float32(down)
    return under
