"""Do depth and poses lead from frame to frame? Held against what the pictures show themselves.

Points are followed from picture to picture without depth or poses. Depth and poses must lead to
where they were found. If they do not, or if another reading of the cameras does so far better, the
reading that fits best is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.pairs import SMALL_MOTION, Pair, find_pairs
from lyra_data.clips.checks.parts import ClipParts
from lyra_data.clips.checks.photometry import likeness
from lyra_data.clips.checks.readings import Reading, other_readings


def check_reprojection(parts: ClipParts) -> list[ClipFinding]:
    """Check a video whose arrays, poses, intrinsics and depth are each without errors."""
    stated = Reading(parts.camera_to_world.double().numpy(), parts.intrinsics.double().numpy())
    diagonal = float(np.hypot(parts.height, parts.width))
    pairs = find_pairs(parts)
    telling = [pair for pair in pairs if _tells(pair, stated, diagonal)]
    if not telling:
        what = "nothing moves in the pictures" if pairs else "no points could be followed"
        return [parts.finding("reprojection-unknown", f"{what} between frames of known depth")]
    distances = np.array([pair.displacement(stated) for pair in telling])
    motions = np.array([pair.tracks.motion for pair in telling])
    limits = _limit(motions, diagonal)
    wrong = distances > limits
    better = _better_reading(telling, stated, diagonal)
    findings = []
    if better is not None or wrong.mean() > 0.5:
        findings.append(_displaced(parts, telling, distances, motions, better, stated))
    elif (far := distances > bounds.DISPLACED_PLACE * limits).any():
        worst = int((distances / limits).argmax())
        places = sorted({telling[index].first for index in np.flatnonzero(far)})
        message = (
            f"from frame {telling[worst].first} to {telling[worst].second} points lie "
            f"{distances[worst]:.1f} pixels from where depth and poses say"
        )
        value = float(distances[worst])
        findings.append(parts.finding("reprojection-places", message, value=value, frames=places))
    return [*findings, *_agreement(parts, telling, stated)]


def _tells(pair: Pair, stated: Reading, diagonal: float) -> bool:
    """Return whether the pictures move, or should."""
    least = SMALL_MOTION * diagonal
    return pair.tracks.motion > least or pair.displacement(stated) > least


def _limit(motion: Any, diagonal: float) -> Any:
    """Return how far points may lie, after motions in pixels, from where depth and poses say."""
    return bounds.DISPLACED_DIAGONAL * diagonal + bounds.DISPLACED_MOTION * motion


def _better_reading(pairs: list[Pair], stated: Reading, diagonal: float) -> str | None:
    """Return what is wrong with the cameras, if a usual mistake explains the pictures better, and
    explains them well."""
    best, name = bounds.BETTER_SHARE, None
    motion = np.median([pair.tracks.motion for pair in pairs])
    for title, reading in other_readings(stated).items():
        both = np.array([(pair.displacement(stated), pair.displacement(reading)) for pair in pairs])
        both = both[~np.isnan(both).any(axis=1)]
        if len(both) < max(2, len(pairs) // 2):
            continue
        limited = np.minimum(both, diagonal)
        own, other = np.median(limited, axis=0)
        share = float(other / max(own * reading.shrinks, 1e-9))
        explained = share < best and other < _limit(motion, diagonal)
        often = (both[:, 1] < both[:, 0]).mean() >= bounds.BETTER_PAIRS
        if explained and often and own - other > bounds.BETTER_DIAGONAL * diagonal:
            best, name = share, title
    return name


def _displaced(
    parts: ClipParts,
    pairs: list[Pair],
    distances: np.ndarray,
    motions: np.ndarray,
    better: str | None,
    stated: Reading,
) -> ClipFinding:
    distance, motion = float(np.median(distances)), float(np.median(motions))
    ratios = [likeness(parts, pair.first, pair.second, stated) for pair in pairs]
    measured = [ratio for ratio in ratios if ratio is not None]
    message = (
        f"points lie {distance:.1f} pixels from where depth and poses say, after a motion of "
        f"{motion:.1f}"
    )
    if measured:
        message += f"; a frame moved so differs {np.median(measured):.2g} times as much as unmoved"
    if better is not None:
        message += f". Likely: {better}"
    frames = sorted({pair.first for pair in pairs})
    return parts.finding("reprojection", message, value=distance, frames=frames)


def _agreement(parts: ClipParts, pairs: list[Pair], stated: Reading) -> list[ClipFinding]:
    measured = [(pair.first, pair.depth_difference(stated)) for pair in pairs]
    known = [(first, value) for first, value in measured if value is not None]
    frames = sorted({first for first, value in known if value > bounds.DEPTH_DISAGREES})
    middle = float(np.median([value for _, value in known])) if known else 0.0
    if middle <= bounds.DEPTH_DISAGREES:
        return []
    message = f"carried to another frame, depth differs by {100 * middle:.0f} %"
    return [parts.finding("depth-agreement", message, value=middle, frames=frames)]
