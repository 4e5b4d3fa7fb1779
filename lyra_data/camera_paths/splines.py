"""Interpolation of a path: a smooth curve through its poses, and cameras spread along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from lyra_data.camera_paths.poses import PathPoses
from lyra_data.camera_paths.rotations import angles_between, quaternions_of, rotations_of

Sampling = Literal["uniform", "times"]

SAMPLES = 4096
"""Places at which the length of a curve is measured, at least."""

SAMPLES_PER_SEGMENT = 8

TURNING = 0.5
"""A turn counts as at least this share of the way by which it moves what lies in the centre. A
camera that circles the centre moves by all of that way itself: only turns on the spot are slowed.
"""


@dataclass(frozen=True)
class Curve:
    """A cubic curve through values at knots, with the slopes of the parabola through neighbours.

    Source of the slopes: Catmull-Rom, as it is for knots of unequal distance.
    """

    knots: Float64[Tensor, " knot"]
    values: Float64[Tensor, "knot size"]

    def at(self, positions: Float64[Tensor, " position"]) -> Float64[Tensor, "position size"]:
        """Return the values at positions between the first and the last knot."""
        if len(self.knots) == 1:
            return self.values.expand(len(positions), -1).clone()
        start = torch.searchsorted(self.knots, positions, right=True) - 1
        start = start.clamp(0, len(self.knots) - 2)
        step = self.knots[start + 1] - self.knots[start]
        t = ((positions - self.knots[start]) / step).clamp(0.0, 1.0)[:, None]
        slopes = self._slopes()
        from_slope, to_slope = slopes[start] * step[:, None], slopes[start + 1] * step[:, None]
        # Hermite's cubic: exactly the knots' values at t = 0 and t = 1.
        return (
            (1 + 2 * t) * (1 - t) ** 2 * self.values[start]
            + t * (1 - t) ** 2 * from_slope
            + t**2 * (3 - 2 * t) * self.values[start + 1]
            - t**2 * (1 - t) * to_slope
        )

    def _slopes(self) -> Float64[Tensor, "knot size"]:
        steps = (self.knots[1:] - self.knots[:-1])[:, None]
        chords = (self.values[1:] - self.values[:-1]) / steps
        if len(steps) == 1:
            return chords.repeat(2, 1)
        before, after = steps[:-1], steps[1:]
        inner = (after * chords[:-1] + before * chords[1:]) / (before + after)
        first = chords[:1] + (chords[:1] - inner[:1])
        last = chords[-1:] + (chords[-1:] - inner[-1:])
        return torch.cat([first, inner, last])


def resampled(
    poses: PathPoses, num_frames: int, sampling: Sampling, *, centre_depth: float
) -> PathPoses:
    """Return `num_frames` cameras spread over a path, its first and last pose among them.

    Args:
        sampling: "uniform": equal lengths of the way from frame to frame; where the camera hardly
            moves but turns, half of its angle times the centre depth counts as way. "times": equal
            times, by the file's own or, where it has none, by the order of its poses.
        centre_depth: in the path's unit.
    """
    positions = Curve(poses.knots, poses.camera_to_world[:, :3, 3])
    turns = Curve(poses.knots, quaternions_of(poses.camera_to_world[:, :3, :3]))

    def at(knots: Tensor) -> Tensor:
        transforms = torch.eye(4, dtype=torch.float64).repeat(len(knots), 1, 1)
        transforms[:, :3, :3] = rotations_of(turns.at(knots))
        transforms[:, :3, 3] = positions.at(knots)
        return transforms

    knots = _evenly(poses.knots, num_frames)
    if sampling == "uniform" and len(poses) > 1:
        dense = _refined(poses.knots)
        knots = equal_ways(dense, _ways(at(dense), centre_depth), num_frames)
    lens = None if poses.lens is None else Curve(poses.knots, poses.lens).at(knots)
    return PathPoses(at(knots), lens)


def equal_ways(
    knots: Float64[Tensor, " knot"], ways: Float64[Tensor, " step"], num_frames: int
) -> Float64[Tensor, " frame"]:
    """Return the knots of `num_frames` frames between which equal ways lie.

    Args:
        ways: length of the way from each knot to the next.
    """
    total = float(ways.sum())
    if total <= 0:
        return _evenly(knots, num_frames)
    passed = torch.cat([ways.new_zeros(1), ways.cumsum(0)])
    wanted = torch.linspace(0.0, 1.0, num_frames, dtype=torch.float64) * passed[-1]
    start = (torch.searchsorted(passed, wanted, right=True) - 1).clamp(0, len(ways) - 1)
    share = torch.where(ways[start] > 0, (wanted - passed[start]) / ways[start], 0.0)
    found = knots[start] + share.clamp(0.0, 1.0) * (knots[start + 1] - knots[start])
    if num_frames > 1:
        found[-1] = knots[-1]
    return found


def _ways(poses: Float64[Tensor, "knot 4 4"], centre_depth: float) -> Float64[Tensor, " step"]:
    ways = (poses[1:, :3, 3] - poses[:-1, :3, 3]).norm(dim=1)
    turns = angles_between(poses[:-1, :3, :3], poses[1:, :3, :3])
    return torch.maximum(ways, TURNING * centre_depth * turns)


def _refined(knots: Float64[Tensor, " knot"]) -> Float64[Tensor, " fine"]:
    """Return the knots with as many places between any two of them as measuring a way needs."""
    steps = max(SAMPLES // (len(knots) - 1), SAMPLES_PER_SEGMENT)
    shares = torch.arange(steps, dtype=torch.float64) / steps
    between = knots[:-1, None] + shares * (knots[1:] - knots[:-1])[:, None]
    return torch.cat([between.flatten(), knots[-1:]])


def _evenly(knots: Float64[Tensor, " knot"], num_frames: int) -> Float64[Tensor, " frame"]:
    shares = torch.linspace(0.0, 1.0, num_frames, dtype=torch.float64)
    return knots[0] + shares * (knots[-1] - knots[0])
