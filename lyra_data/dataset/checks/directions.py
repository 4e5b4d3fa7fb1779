"""Check that a view of reversed motion runs backwards, by its partner at equal times.

Frame i of a view and frame N-1-i of the view of the other direction show one moment from two
places. Moved by depth and cameras they must be more alike than frames of equal number, which show
two moments. Another place alone makes pictures differ too: colours are sampled anew, and a surface
of another size shows other detail. So colours tell nothing by themselves: something must be seen to
move. A surface of one frame is gone in the other, which looks through where it was. Depth and
cameras tell that, and no change of place does it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from lyra_data.clips.checks.readings import Reading
from lyra_data.dataset.checks import bounds
from lyra_data.dataset.checks.locations import DatasetFinding, view_finding
from lyra_data.views.fields import Row

COMPARED_FIELDS = ("frames", "depth", "depth_valid", "camera_to_world", "intrinsics")
"""Fields that are read of some frames of both views."""

MAX_SAMPLES = 20_000
MIN_SAMPLES = 200
SAME_DEPTH = 0.05
"""Share that depth may differ by where both see the same surface."""

EDGE_SAMPLES = 2
"""Samples around one that must agree with it: at edges of surfaces depth is either's."""


@dataclass(frozen=True)
class Likeness:
    """Likeness of a frame of one view with a frame of another.

    Attributes:
        levels: mean difference of grey values where both see the same surface.
        gone: share of the places that both see or look through, where the second looks through a
            surface of the first.
    """

    levels: float
    gone: float


def partners(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Return views of one path in both directions: forward, reversed."""
    forward = {row["trajectory"]: row for row in rows if not row["motion_reversed"]}
    return [
        (forward[row["trajectory"]], row)
        for row in rows
        if row["motion_reversed"] and row["trajectory"] in forward
    ]


def compared_frames(num_frames: int) -> list[int]:
    """Return first and last frame and those of the quarters; the middle is one moment both ways."""
    last = num_frames - 1
    return sorted({0, last // 4, last - last // 4, last})


def check_directions(
    row: Row, forward: dict[str, Any], backward: dict[str, Any], num_frames: int
) -> list[DatasetFinding]:
    """Check a reversed view by the forward one, both read at `compared_frames`.

    Args:
        row: of the reversed view.
    """
    frames = compared_frames(num_frames)
    same, other = [], []
    for number, frame in enumerate(frames):
        mirrored = frames.index(num_frames - 1 - frame)
        if mirrored == number:
            continue
        at_same_time = _likeness(forward, number, backward, mirrored)
        at_same_number = _likeness(forward, number, backward, number)
        if at_same_time is not None and at_same_number is not None:
            same.append(at_same_time)
            other.append(at_same_number)
    if not same:
        return []
    gone, gone_wrong = _mean_gone(same), _mean_gone(other)
    if gone < bounds.GONE or gone <= bounds.REVERSED * gone_wrong:
        return []
    right, wrong = _mean_levels(same), _mean_levels(other)
    if right <= bounds.REVERSED * wrong:
        return []
    message = (
        f"at equal times it differs by {right:.1f} grey levels from the view that runs forward, "
        f"at equal frame numbers by {wrong:.1f}, and {gone:.1%} of the surfaces are not where they "
        f"were ({gone_wrong:.1%} at equal numbers)"
    )
    return [
        view_finding(
            "motion-reversed",
            message,
            scene=row["scene_id"],
            view_index=row["view_index"],
            value=right / max(wrong, 1e-9),
        )
    ]


def _mean_levels(pairs: list[Likeness]) -> float:
    return float(np.mean([pair.levels for pair in pairs]))


def _mean_gone(pairs: list[Likeness]) -> float:
    return float(np.mean([pair.gone for pair in pairs]))


def _likeness(
    one: dict[str, Any], first: int, other: dict[str, Any], second: int
) -> Likeness | None:
    """Return how alike two frames are.

    Returns:
        None: they see too little of the same.
    """
    known, depth = one["depth_valid"][first].numpy(), one["depth"][first].double().numpy()
    step = max(1, math.ceil(math.sqrt(known.size / MAX_SAMPLES)))
    known, depth = known[::step, ::step], depth[::step, ::step]
    cameras = Reading(
        np.stack([one["camera_to_world"][first], other["camera_to_world"][second]]).astype(float),
        np.stack([one["intrinsics"][first], other["intrinsics"][second]]).astype(float),
    )
    positions = np.argwhere(np.ones_like(known))[:, ::-1] * step + 0.5
    # Points of the first view as the second sees them: their pixels there, and their depth.
    pixels, carried = cameras.carried(0, 1, positions, np.where(known, depth, 1.0).ravel())
    own = other["depth"][second].float().numpy()
    height, width = own.shape
    column, row = pixels.T
    inside = (column >= 0.5) & (column <= width - 0.5) & (row >= 0.5) & (row <= height - 0.5)
    stated = _sampled(own, np.where(inside[:, None], pixels, 0.5), cv2.INTER_NEAREST)
    inside &= known.ravel() & (stated > 0)
    with np.errstate(invalid="ignore"):
        both = inside & (np.abs(stated - carried) < SAME_DEPTH * carried)
        through = inside & (stated - carried >= SAME_DEPTH * carried)
    if both.sum() < MIN_SAMPLES:
        return None
    before = _sampled(_grey(one["frames"][first]), positions[both], cv2.INTER_LINEAR)
    after = _sampled(_grey(other["frames"][second]), pixels[both], cv2.INTER_LINEAR)
    around = np.ones((2 * EDGE_SAMPLES + 1,) * 2, np.uint8)
    gone = cv2.erode(through.reshape(known.shape).astype(np.uint8), around).sum()
    return Likeness(float(np.abs(before - after).mean()), gone / (both.sum() + through.sum()))


def _grey(frame: Any) -> Float[np.ndarray, "height width"]:
    return cv2.GaussianBlur(frame.float().mean(dim=0).numpy(), (0, 0), 1.0)


def _sampled(
    picture: Float[np.ndarray, "height width"],
    positions: Float[np.ndarray, "point 2"],
    interpolation: int,
) -> Float[np.ndarray, " point"]:
    columns, rows = (positions - 0.5).astype(np.float32).T
    return cv2.remap(
        picture,
        columns[:, None],
        rows[:, None],
        interpolation,
        borderMode=cv2.BORDER_REPLICATE,
    )[:, 0].astype(np.float64)
