"""Pairs of frames that are compared: far enough apart for depth and poses to show, and no farther
than points can be followed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.clips.checks.parts import ClipParts
from lyra_data.clips.checks.readings import Reading, pixel_of
from lyra_data.clips.checks.tracking import (
    MIN_POINTS,
    Tracks,
    follow,
    grey_picture,
    reduction,
    steady_depth,
)

MAX_PAIRS = 16
WANTED_MOTION = 0.05
"""A share of the diagonal, between the frames of a pair."""

FARTHEST = 16
"""Frames between the frames of a pair."""

MIN_FOUND = 0.5
"""Share of a picture's points to be found again in its partner."""

SMALL_MOTION = 0.002
"""A share of the diagonal; less motion says nothing about poses."""


@dataclass(frozen=True)
class Pair:
    """Two frames, points that pictures show in both, and their depth in the first.

    Attributes:
        depth: of each point, in the first frame.
        other_depth: of each point in the second frame, NaN where that is unknown.
    """

    first: int
    second: int
    tracks: Tracks
    depth: Float[np.ndarray, " point"]
    other_depth: Float[np.ndarray, " point"]

    def displacement(self, reading: Reading) -> float:
        """Median distance in pixels from where a reading leads to where points were found.

        Points that it puts behind the camera are infinitely far; NaN: it has no such frames.
        """
        cameras = reading.camera_to_world[[self.first, self.second]]
        if np.isnan(cameras).any():
            return float("nan")
        places, _ = reading.carried(self.first, self.second, self.tracks.start, self.depth)
        distance = np.linalg.norm(places - self.tracks.end, axis=1)
        return float(np.median(np.where(np.isnan(distance), np.inf, distance)))

    def depth_difference(self, reading: Reading) -> float | None:
        """Median share by which carried depth differs from the second frame's own."""
        _, carried = reading.carried(self.first, self.second, self.tracks.start, self.depth)
        with np.errstate(invalid="ignore"):
            difference = np.abs(np.log(carried / self.other_depth))
        known = difference[np.isfinite(difference)]
        return float(np.median(known)) if len(known) >= MIN_POINTS else None


def find_pairs(parts: ClipParts) -> list[Pair]:
    """Pairs spread over the clip; fewer where nothing can be followed."""
    anchors = np.unique(np.linspace(0, len(parts) - 1, min(MAX_PAIRS, len(parts))).round())
    pictures = _Pictures(parts)
    found = (_pair(parts, pictures, int(anchor)) for anchor in anchors)
    return [pair for pair in found if pair is not None]


class _Pictures:
    """Grey pictures and masks of a clip, made when they are needed and kept."""

    def __init__(self, parts: ClipParts) -> None:
        self.parts = parts
        self._grey: dict[int, UInt8[np.ndarray, "height width"]] = {}

    def grey(self, index: int) -> UInt8[np.ndarray, "height width"]:
        if index not in self._grey:
            self._grey[index] = grey_picture(self.parts.frames[index])
        return self._grey[index]

    def still(
        self, index: int
    ) -> tuple[Bool[Tensor, "height width"], Float[Tensor, "height width"]]:
        """Return where depth is known and steady and nothing is known to move, and that depth."""
        parts = self.parts
        steady, depth = steady_depth(parts.depth[index], parts.depth_valid[index])
        mask = parts.dynamic_mask
        return (steady if mask is None else steady & ~_grown(mask[index])), depth


def _grown(mask: Bool[Tensor, "height width"]) -> Bool[Tensor, "height width"]:
    """Return the mask grown by the neighbourhood that a point beside it would be matched by."""
    side = 2 * reduction(*mask.shape) * 3 + 1
    window = np.ones((side, side), np.uint8)
    return torch.from_numpy(cv2.dilate(mask.numpy().astype(np.uint8), window) > 0)


def _pair(parts: ClipParts, pictures: _Pictures, anchor: int) -> Pair | None:
    counted, steady = pictures.still(anchor)
    last = len(parts) - 1

    def tracks_to(partner: int) -> Tracks | None:
        tracks = follow(pictures.grey(anchor), pictures.grey(partner), counted)
        if tracks is None or len(tracks) < MIN_POINTS or tracks.found_share < MIN_FOUND:
            return None
        return tracks

    towards = 1 if anchor < last else -1
    partner, tracks = anchor + towards, tracks_to(anchor + towards)
    if tracks is None:
        return None
    wanted = WANTED_MOTION * float(np.hypot(parts.height, parts.width))
    apart = int(np.clip(wanted / max(tracks.motion, 1e-3), 1, min(FARTHEST, last)))
    while apart > 1:
        towards = apart if anchor + apart <= last else -apart
        if anchor + towards >= 0 and (farther := tracks_to(anchor + towards)) is not None:
            partner, tracks = anchor + towards, farther
            break
        apart //= 2
    depth = steady.double().numpy()[pixel_of(tracks.start)]
    other = torch.where(parts.depth_valid[partner], parts.depth[partner], torch.nan)
    return Pair(anchor, partner, tracks, depth, other.double().numpy()[pixel_of(tracks.end)])
