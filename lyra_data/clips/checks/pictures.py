"""Does every frame show something, and something else than the one before?"""

from __future__ import annotations

import numpy as np

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.parts import ClipParts
from lyra_data.engine.hashing import sha256_of_bytes


def check_pictures(parts: ClipParts) -> list[ClipFinding]:
    findings = []
    spreads = [float(frame.double().mean(dim=0).std(correction=0)) for frame in parts.frames]
    blank = [index for index, spread in enumerate(spreads) if spread < bounds.BLANK_SPREAD]
    if blank:
        message = f"grey values of a frame spread by {min(spreads):.2g}"
        findings.append(parts.finding("blank-frames", message, value=min(spreads), frames=blank))
    frozen, value = _frozen(parts)
    if frozen:
        message = f"{len(frozen)} of {len(parts)} frames repeat the one before"
        findings.append(parts.finding("frozen-frames", message, value=value, frames=frozen))
    again = _again(parts, frozen)
    if again:
        message = f"{len(again)} frames equal an earlier one, to the byte"
        findings.append(parts.finding("duplicate-frames", message, frames=again))
    return findings


def _frozen(parts: ClipParts) -> tuple[list[int], float]:
    """Frames that repeat the one before, and the least change."""
    pairs = zip(parts.frames, parts.frames[1:], strict=False)
    changes = np.array([float((a.int() - b.int()).abs().double().mean()) for a, b in pairs])
    if not len(changes):
        return [], 0.0
    limit = bounds.FROZEN_OF_MEDIAN * float(np.median(changes))
    # Where nothing ever changes the median is 0, and equal frames are frozen still.
    frozen = (changes < limit) | (changes == 0)
    return [int(index) + 1 for index in np.flatnonzero(frozen)], float(changes.min())


def _again(parts: ClipParts, frozen: list[int]) -> list[int]:
    first: dict[str, int] = {}
    again = []
    for index, frame in enumerate(parts.frames):
        digest = sha256_of_bytes(frame.numpy().tobytes())
        earlier = first.setdefault(digest, index)
        if earlier != index and index not in frozen:
            again.append(index)
    return again
