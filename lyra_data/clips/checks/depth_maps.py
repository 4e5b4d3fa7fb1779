"""Is the depth one, is enough of it known, and are confidence and mask what they claim?"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.parts import ClipParts


def check_depth(parts: ClipParts) -> list[ClipFinding]:
    wrong = _values(parts)
    # Of a depth with values that mean nothing neither share nor range tells anything.
    return [*(wrong or [*_known(parts), *_range(parts)]), *_confidence(parts), *_mask(parts)]


def _values(parts: ClipParts) -> list[ClipFinding]:
    depth, known = parts.depth, parts.depth_valid
    impossible = ~torch.isfinite(depth) | (known & (depth <= 0)) | (~known & (depth != 0))
    frames = _frames_of(impossible)
    if not frames:
        return []
    count = int(impossible.sum())
    message = f"{count} of {depth.numel()} pixels, the first holds {float(depth[impossible][0]):g}"
    share = count / depth.numel()
    return [parts.finding("depth-values", message, value=share, frames=frames)]


def _known(parts: ClipParts) -> list[ClipFinding]:
    shares = parts.depth_valid.flatten(1).double().mean(dim=1)
    frames = torch.nonzero(shares < bounds.KNOWN_SHARE).flatten().tolist()
    if not frames:
        return []
    least = float(shares.min())
    message = f"depth is known in {100 * least:.2g} % of a frame"
    return [parts.finding("depth-known", message, value=least, frames=frames)]


def _range(parts: ClipParts) -> list[ClipFinding]:
    findings = []
    samples = [parts.known_depth(index) for index in range(len(parts))]
    every = torch.cat(samples)
    if not len(every):
        return []
    middle = float(every.median())
    nearest, farthest = bounds.METRIC_DEPTH
    if parts.depth_scale == "metric" and not nearest <= middle <= farthest:
        message = f"the median depth is {middle:g} metres"
        findings.append(parts.finding("depth-range", message, value=middle))
    spreads = [_spread(depth) for depth in samples]
    frames = [index for index, spread in enumerate(spreads) if spread > bounds.DEPTH_SPREAD]
    if frames:
        message = f"the 99th percentile of a frame's depth is {max(spreads):.3g} times the 1st"
        findings.append(parts.finding("depth-range", message, value=max(spreads), frames=frames))
    return findings


def _spread(depth: Float[Tensor, " known"]) -> float:
    if not len(depth):
        return 1.0
    ordered = depth.sort().values
    last = len(depth) - 1
    return float(ordered[round(0.99 * last)] / ordered[round(0.01 * last)])


def _confidence(parts: ClipParts) -> list[ClipFinding]:
    confidence = parts.depth_confidence
    if confidence is None:
        return []
    inside = (confidence >= 0) & (confidence <= 1)  # False of NaN
    wrong = ~inside | (~parts.depth_valid & (confidence != 0))
    frames = _frames_of(wrong)
    if not frames:
        return []
    message = f"{int(wrong.sum())} pixels, the first holds {float(confidence[wrong][0]):g}"
    value = float(wrong.double().mean())
    return [parts.finding("depth-confidence", message, value=value, frames=frames)]


def _mask(parts: ClipParts) -> list[ClipFinding]:
    if parts.dynamic_mask is None:
        return []
    shares = parts.dynamic_mask.flatten(1).double().mean(dim=1)
    frames = torch.nonzero(shares > bounds.MOVING_SHARE).flatten().tolist()
    if not frames:
        return []
    most = float(shares.max())
    message = f"{100 * most:.0f} % of a frame is masked as moving"
    return [parts.finding("moving-share", message, value=most, frames=frames)]


def _frames_of(pixels: Bool[Tensor, "frame height width"]) -> list[int]:
    return torch.nonzero(pixels.flatten(1).any(dim=1)).flatten().tolist()
