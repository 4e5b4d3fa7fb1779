"""PathPoses: the cameras that a file or a list of key poses states, before they meet a scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float64
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.media.camera_files import MAX_FOCAL_PER_WIDTH, MIN_FOCAL_PER_WIDTH, RIGID_TOLERANCE

MOST_POSES = 100_000
"""More than an hour of video."""

FARTHEST = 1e6
"""Largest coordinate of a camera in the unit of its path: 1000 km, where it is metres."""

MOST_SECONDS = 1e6

BEST_ROTATION = 1e-12
"""Rotations that are nearer than this to their best approximation are taken as they are."""


@dataclass(frozen=True)
class PathPoses:
    """The cameras of a path in the order that they are passed, in a world of their own.

    Attributes:
        camera_to_world: rigid transforms, OpenCV axes, in the path's own unit of length.
        lens: fx, fy and the principal point's distance from the picture's centre to the right and
            downwards, all divided by the picture's height; None where nothing is said of the lens.
        times: seconds, strictly growing; None where the order alone is known.
    """

    camera_to_world: Float64[Tensor, "pose 4 4"]
    lens: Float64[Tensor, "pose 4"] | None = None
    times: Float64[Tensor, " pose"] | None = None

    def __len__(self) -> int:
        return len(self.camera_to_world)

    @property
    def knots(self) -> Float64[Tensor, " pose"]:
        """Return the times, or the numbers of the poses where there are none."""
        if self.times is not None:
            return self.times
        return torch.arange(len(self), dtype=torch.float64)

    def scaled(self, factor: float) -> PathPoses:
        """Return the path with all of its lengths multiplied."""
        poses = self.camera_to_world.clone()
        poses[:, :3, 3] *= factor
        return replace(self, camera_to_world=poses)

    def reversed_in_time(self) -> PathPoses:
        """Return the path from its end to its start."""
        times = self.times
        return PathPoses(
            self.camera_to_world.flip(0),
            None if self.lens is None else self.lens.flip(0),
            None if times is None else (times[-1] + times[0] - times).flip(0),
        )


def checked_poses(
    camera_to_world: Tensor,
    *,
    where: str,
    lens: Tensor | None = None,
    times: Tensor | None = None,
) -> PathPoses:
    """Return poses out of a foreign file once each of their numbers is possible.

    Rotations that are off by rounding (float32) become exact ones.

    Args:
        where: the file, for messages.

    Raises:
        InputError: there is no pose or there are too many, a number is NaN, infinite or huge, a
            matrix is no rotation with a translation, or times do not grow.
    """
    poses = camera_to_world.detach().to(torch.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise InputError(
            f"poses of shape {list(poses.shape)}",
            where=where,
            fix="give one matrix of 4x4 numbers for each camera",
        )
    if not 1 <= len(poses) <= MOST_POSES:
        raise InputError(
            f"the path has {len(poses)} poses",
            where=where,
            fix=f"give at least one pose, and at most {MOST_POSES:,}",
        )
    _check_bounded(poses[:, :3, 3], FARTHEST, "position", where)
    _check_bounded(poses[:, :3, :3].flatten(1), 2.0, "rotation", where)
    poses = poses.clone()
    poses[:, :3, :3] = _rotations(poses, where)
    if lens is not None:
        lens = lens.detach().to(torch.float64)
        _check_lens(lens, where)
    if times is not None:
        times = times.detach().to(torch.float64)
        _check_times(times, where)
    for part in (lens, times):
        assert part is None or len(part) == len(poses), (len(poses), part.shape)
    return PathPoses(poses, lens, times)


def _check_bounded(values: Tensor, most: float, noun: str, where: str) -> None:
    # NaN is not below any bound, so it is caught here too.
    bad = torch.nonzero(~(values.abs() <= most).all(dim=1))[:, 0]
    if len(bad):
        index = int(bad[0])
        raise InputError(
            f"the {noun} of pose {index} holds an impossible number: "
            f"{[float(f'{value:.6g}') for value in values[index].tolist()]}",
            where=where,
            fix=f"correct this pose: numbers are finite and at most {most:g} here",
        )


def _rotations(poses: Tensor, where: str) -> Tensor:
    """Return the rotations, made exact; refuse what is no rigid transform."""
    rotations = poses[:, :3, :3]
    identity = torch.eye(3, dtype=poses.dtype)
    off = (rotations @ rotations.transpose(1, 2) - identity).abs().amax(dim=(1, 2))
    last_row = (poses[:, 3] - poses.new_tensor([0.0, 0.0, 0.0, 1.0])).abs().amax(dim=1)
    mirrored = torch.linalg.det(rotations) < 0
    # A last row with NaN fails the comparison as well.
    bad = torch.nonzero(mirrored | (off > RIGID_TOLERANCE) | ~(last_row <= RIGID_TOLERANCE))[:, 0]
    if len(bad):
        index = int(bad[0])
        reason = (
            "it mirrors" if bool(mirrored[index]) else f"its rotation is off by {off[index]:.2g}"
        )
        raise InputError(
            f"pose {index} is no rotation with a translation ({reason})",
            where=where,
            fix="give rigid 4x4 matrices, rows first, the last row 0 0 0 1; scale belongs into "
            "the positions",
        )
    if bool((off <= BEST_ROTATION).all()):
        return rotations
    # The nearest rotation in the least-squares sense (polar decomposition).
    left, _, right = torch.linalg.svd(rotations)
    return torch.where((off > BEST_ROTATION)[:, None, None], left @ right, rotations)


def _check_lens(lens: Tensor, where: str) -> None:
    low, high = MIN_FOCAL_PER_WIDTH, MAX_FOCAL_PER_WIDTH
    possible = ((lens[:, :2] >= low) & (lens[:, :2] <= high)).all(dim=1)
    possible &= (lens[:, 2:].abs() <= 10.0).all(dim=1)
    bad = torch.nonzero(~possible)[:, 0]
    if len(bad):
        index = int(bad[0])
        numbers = [float(f"{value:.6g}") for value in lens[index].tolist()]
        raise InputError(
            f"the lens of pose {index} is impossible: fx, fy and the principal point's distance "
            f"from the centre, in heights of the picture: {numbers}",
            where=where,
            fix="give focal lengths in pixels of the stated picture size (or the vertical field of "
            "view in degrees)",
        )


def _check_times(times: Tensor, where: str) -> None:
    _check_bounded(times[:, None], MOST_SECONDS, "time", where)
    bad = torch.nonzero(times[1:] <= times[:-1])[:, 0]
    if len(bad):
        index = int(bad[0]) + 1
        raise InputError(
            f"pose {index} has the time {times[index]:.6g} s, and the one before it "
            f"{times[index - 1]:.6g} s",
            where=where,
            fix="give times that grow from pose to pose, or none",
        )
