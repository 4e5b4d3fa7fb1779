"""Judge by reprojection whether a clip's poses run with its pictures, or backwards.

Lyra's clips of reversed motion were saved with their frames and intrinsics turned around and their
poses not. Points are followed from picture to picture; depth and poses must lead to where they were
found. If the poses in reverse order do so far better, they run backwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.pairs import SMALL_MOTION, Pair, find_pairs
from lyra_data.clips.checks.parts import ClipParts
from lyra_data.clips.checks.readings import Reading
from lyra_data.scene.cameras import Cameras

MAX_FRAMES = 32
"""Frames of a clip that are looked at, spread evenly."""

MIN_PAIRS = 3

Verdict = Literal["agree", "backwards", "unknown"]


@dataclass(frozen=True)
class PoseOrder:
    """The verdict and what was measured for it.

    Attributes:
        stated_pixels: median distance from where depth and poses lead to where points were found.
        backwards_pixels: the same, with the poses in reverse order.
        reason: of "unknown".
    """

    verdict: Verdict
    stated_pixels: float | None
    backwards_pixels: float | None
    reason: str = ""

    def __str__(self) -> str:
        if self.stated_pixels is None or self.backwards_pixels is None:
            return f"{self.verdict}: {self.reason}"
        distances = f"{self.stated_pixels:.2f} px, reversed {self.backwards_pixels:.2f} px"
        return f"{self.verdict}: {distances}" + (f"; {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class SeenFrames:
    """Some frames of a clip, with their depth, 0 where unknown, and their cameras.

    Attributes:
        backwards: the cameras they would have if the poses of all frames ran backwards.
    """

    frames: tuple[UInt8[Tensor, "3 height width"], ...]
    depth: Float[Tensor, "frame height width"]
    cameras: Cameras
    backwards: Float[Tensor, "frame 4 4"]


def frames_to_see(num_frames: int) -> list[int]:
    """Return the frames of a clip that `pose_order` needs, ascending."""
    count = min(MAX_FRAMES, num_frames)
    return np.unique(np.linspace(0, num_frames - 1, count).round().astype(int)).tolist()


def pose_order(seen: SeenFrames) -> PoseOrder:
    """Judge whether poses and pictures run the same way."""
    if len(seen.frames) < 2:
        return PoseOrder("unknown", None, None, "one frame alone does not move")
    known: Bool[Tensor, "frame height width"] = seen.depth > 0
    if not bool(known.any()):
        return PoseOrder("unknown", None, None, "no depth is known")
    parts = _parts(seen, known)
    stated = Reading(parts.camera_to_world.double().numpy(), parts.intrinsics.double().numpy())
    other = replace(stated, camera_to_world=seen.backwards.double().numpy())
    diagonal = float(np.hypot(parts.height, parts.width))
    pairs = [pair for pair in find_pairs(parts) if _tells(pair, stated, other, diagonal)]
    if len(pairs) < MIN_PAIRS:
        return PoseOrder("unknown", None, None, "too little moves, or can be followed")
    own = np.minimum([pair.displacement(stated) for pair in pairs], diagonal)
    turned = np.minimum([pair.displacement(other) for pair in pairs], diagonal)
    motion = float(np.median([pair.tracks.motion for pair in pairs]))
    return _judged(own, turned, motion, diagonal)


def _judged(own: np.ndarray, turned: np.ndarray, motion: float, diagonal: float) -> PoseOrder:
    """Judge distances of pairs; the bounds are those of the rule `reprojection` of clips."""
    limit = bounds.DISPLACED_DIAGONAL * diagonal + bounds.DISPLACED_MOTION * motion
    stated, backwards = float(np.median(own)), float(np.median(turned))
    better = backwards < bounds.BETTER_SHARE * stated
    often = (turned < own).mean() >= bounds.BETTER_PAIRS
    if better and often and backwards <= limit:
        return PoseOrder("backwards", stated, backwards)
    if stated <= limit and stated <= backwards:
        return PoseOrder("agree", stated, backwards)
    return PoseOrder("unknown", stated, backwards, "neither order leads to where points are found")


def _tells(pair: Pair, stated: Reading, other: Reading, diagonal: float) -> bool:
    """Return whether the two orders lead to different pixels."""
    pixels = [
        reading.carried(pair.first, pair.second, pair.tracks.start, pair.depth)[0]
        for reading in (stated, other)
    ]
    apart = np.linalg.norm(pixels[0] - pixels[1], axis=1)
    return float(np.median(np.nan_to_num(apart, nan=np.inf))) > SMALL_MOTION * diagonal


def _parts(seen: SeenFrames, known: Bool[Tensor, "frame height width"]) -> ClipParts:
    cameras = seen.cameras
    return ClipParts(
        scene_id="",
        num_stated=len(seen.frames),
        frames=seen.frames,
        camera_to_world=cameras.camera_to_world,
        intrinsics=cameras.intrinsics,
        height=cameras.height,
        width=cameras.width,
        depth=torch.where(known, seen.depth, 0.0),
        depth_valid=known,
        depth_scale="up_to_scale",
        fps=1.0,
        dynamic_mask=None,
        depth_confidence=None,
    )
