"""Dense depth of all frames: matched one by one, then kept only where other frames confirm it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from lyra_data.annotation.dense_stereo.agreement_kernels import count_agreeing
from lyra_data.annotation.dense_stereo.patch_match import Seeds, match_frame
from lyra_data.annotation.dense_stereo.views import StereoViews

log = logging.getLogger(__name__)

SPECK_SHARE = 2000
"""Islands of no more than one in so many of the picture's pixels are specks."""

STEP, STEPS_WITHIN, UNKNOWN = 0.01, 3, 30_000
"""Depth in steps of 1 %; neighbours within 3 % belong to one island; what stands for no depth."""


@dataclass(frozen=True)
class DenseSettings:
    """The rules that decide whether a depth is known.

    Attributes:
        least_correlation: of a window with the neighbours that agree best.
        least_agreeing: neighbours whose own depth has to lead back.
        largest_distance: pixels, and
        largest_ratio: relative difference of depth, within which they do.
    """

    least_correlation: float
    least_agreeing: int
    largest_distance: float
    largest_ratio: float


@dataclass(frozen=True)
class DenseDepth:
    """Depth of all frames.

    Attributes:
        depth: z depth, 0 where unknown.
        confidence: 0..1: the share of neighbours that agree times the correlation; 0 where unknown.
    """

    depth: Float32[np.ndarray, "frame height width"]
    confidence: Float32[np.ndarray, "frame height width"]


def dense_depth(
    views: StereoViews, neighbours: list[list[int]], seeds: list[Seeds], settings: DenseSettings
) -> DenseDepth:
    """Estimate the depth of every frame; frames are shared among threads, and the result is the
    same for any number.

    A frame without neighbours or seeds has no known depth.
    """
    half = views.halved()
    depth = np.zeros(views.grey.shape, np.float32)
    cost = np.ones(views.grey.shape, np.float32)

    def match(frame: int) -> None:
        if neighbours[frame] and len(seeds[frame].depths):
            planes = match_frame(views, half, frame, neighbours[frame], seeds[frame])
            depth[frame], cost[frame] = planes.depth, planes.cost
            depth[frame][planes.cost > 1 - settings.least_correlation] = 0

    _each(match, len(views))
    log.info("matched %d frames; asking neighbours", len(views))
    kept, confidence = np.zeros_like(depth), np.zeros_like(depth)

    def confirm(frame: int) -> None:
        asked = _compared_frames(neighbours, frame)
        votes = np.zeros(views.size, np.uint8)
        for other in asked:
            count_agreeing(
                depth[frame],
                depth[other],
                *views.way(frame, other),
                *views.way(other, frame),
                settings.largest_distance,
                settings.largest_ratio,
                votes,
            )
        known = votes >= min(settings.least_agreeing, max(len(asked), 1))
        known &= ~specks_in(np.where(known, depth[frame], 0))
        kept[frame] = np.where(known, depth[frame], 0)
        share = votes / np.float32(max(len(asked), 1))
        confidence[frame] = np.where(known, share * (1 - cost[frame]), 0)

    _each(confirm, len(views))
    return DenseDepth(kept, confidence)


def specks_in(
    depth: Float32[np.ndarray, "height width"],
) -> Bool[np.ndarray, "height width"]:
    """Return small islands of known depth: on what moves, few pixels agree, and by chance."""
    is_known = depth > 0
    steps = np.zeros(depth.shape, np.int16)
    steps[is_known] = np.clip(np.log(depth[is_known]) / STEP, 1 - UNKNOWN, UNKNOWN - 1)
    steps[~is_known] = UNKNOWN
    kept, _ = cv2.filterSpeckles(steps, UNKNOWN, depth.size // SPECK_SHARE, STEPS_WITHIN)
    return is_known & (kept == UNKNOWN)


def _compared_frames(neighbours: list[list[int]], frame: int) -> list[int]:
    """Return the frame's neighbours and those that have it for a neighbour."""
    back = [other for other, chosen in enumerate(neighbours) if frame in chosen]
    return sorted({*neighbours[frame], *back})


def _each(work: Callable[[int], None], num_frames: int) -> None:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for _ in pool.map(work, range(num_frames)):
            pass
