"""Do the arrays of a clip fit together? Numbers of frames, sizes, types, frame rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.parts import ClipParts


def check_structure(parts: ClipParts) -> list[ClipFinding]:
    return [*_frame_counts(parts), *_array_shapes(parts), *_frame_rate(parts)]


def _frame_counts(parts: ClipParts) -> list[ClipFinding]:
    counts = {"frames": len(parts), **{name: len(array) for name, array in _arrays(parts).items()}}
    wrong = [f"{name} has {count}" for name, count in counts.items() if count != parts.num_stated]
    if not wrong:
        return []
    message = f"{', '.join(wrong)}; stated are {parts.num_stated}"
    return [parts.finding("frame-counts", message)]


def _array_shapes(parts: ClipParts) -> list[ClipFinding]:
    picture = (parts.height, parts.width)
    expected = {"camera_to_world": (4, 4), "intrinsics": (4,)}
    wrong = [
        f"{name} is {_size(array)}, needed {_words(expected.get(name, picture))}"
        for name, array in _arrays(parts).items()
        if tuple(array.shape[1:]) != expected.get(name, picture)
    ]
    wrong += [
        f"{name} holds {str(array.dtype).removeprefix('torch.')}"
        for name, array in _arrays(parts).items()
        if (array.dtype == torch.bool) != (name in ("depth_valid", "dynamic_mask"))
        or not (array.dtype == torch.bool or array.is_floating_point())
    ]
    odd = [index for index, frame in enumerate(parts.frames) if tuple(frame.shape[1:]) != picture]
    if odd:
        wrong.append(f"{len(odd)} frames are not {_words(picture)}")
    if not wrong:
        return []
    return [parts.finding("array-shapes", "; ".join(wrong), frames=odd)]


def _frame_rate(parts: ClipParts) -> list[ClipFinding]:
    slowest, fastest = bounds.FRAME_RATE
    if math.isfinite(parts.fps) and slowest <= parts.fps <= fastest:
        return []
    message = f"{parts.fps:g} frames a second"
    return [parts.finding("frame-rate", message, value=parts.fps)]


def _arrays(parts: ClipParts) -> dict[str, Tensor]:
    arrays = {
        "camera_to_world": parts.camera_to_world,
        "intrinsics": parts.intrinsics,
        "depth": parts.depth,
        "depth_valid": parts.depth_valid,
        "dynamic_mask": parts.dynamic_mask,
        "depth_confidence": parts.depth_confidence,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _size(array: Tensor) -> str:
    return _words(tuple(array.shape[1:]))


def _words(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides)) or "one number a frame"
