"""Can a camera have these intrinsics, and do they change as a lens does?"""

from __future__ import annotations

import torch

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.parts import ClipParts
from lyra_data.clips.checks.poses import sudden


def check_intrinsics(parts: ClipParts) -> list[ClipFinding]:
    """Nothing where they are no numbers: pose-finite says so."""
    if not bool(torch.isfinite(parts.intrinsics).all()):
        return []
    return [*_principal_point(parts), *(_focal_length(parts) or _focal_changes(parts))]


def _principal_point(parts: ClipParts) -> list[ClipFinding]:
    _, _, column, row = parts.intrinsics.double().unbind(1)
    outside = (column < 0) | (column > parts.width) | (row < 0) | (row > parts.height)
    frames = torch.nonzero(outside).flatten().tolist()
    if not frames:
        return []
    place = f"({float(column[frames[0]]):.1f}, {float(row[frames[0]]):.1f})"
    message = f"at {place} pixels in a picture of {parts.width} x {parts.height}"
    return [parts.finding("principal-point", message, frames=frames)]


def _focal_length(parts: ClipParts) -> list[ClipFinding]:
    shares = parts.intrinsics[:, :2].double() / max(parts.height, parts.width)
    shortest, longest = bounds.FOCAL_RANGE
    wrong = ((shares < shortest) | (shares > longest)).any(dim=1)
    frames = torch.nonzero(wrong).flatten().tolist()
    if not frames:
        return []
    fx, fy = parts.intrinsics[frames[0], :2].tolist()
    message = f"fx {fx:g}, fy {fy:g} pixels in a picture of {parts.width} x {parts.height}"
    value = float(shares[frames[0], 0])
    return [parts.finding("focal-length", message, value=value, frames=frames)]


def _focal_changes(parts: ClipParts) -> list[ClipFinding]:
    logarithm = parts.intrinsics[:, :2].double().log()
    findings = []
    ratio = (logarithm[:, 0] - logarithm[:, 1]).exp()
    stretch = torch.maximum(ratio, 1 / ratio)
    frames = torch.nonzero(stretch > bounds.FOCAL_RATIO).flatten().tolist()
    if frames:
        worst = float(ratio[int(stretch.argmax())])
        message = f"fx / fy is {worst:.3f}"
        findings.append(parts.finding("focal-ratio", message, value=worst, frames=frames))
    steps = logarithm.diff(dim=0).abs().amax(dim=1)
    frames = sudden(steps, bounds.ZOOM_JUMP)
    if frames:
        change = float(steps[[frame - 1 for frame in frames]].max().expm1())
        message = f"the focal length changes by {100 * change:.0f} % in a frame"
        findings.append(parts.finding("zoom-jump", message, value=change, frames=frames))
    return findings
