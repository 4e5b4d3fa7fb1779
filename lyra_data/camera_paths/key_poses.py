"""Key poses as a path: a look-at spline, whose cameras stay level."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_data.camera_paths.params import KeyPosesParams
from lyra_data.camera_paths.poses import PathPoses, checked_poses
from lyra_data.camera_paths.rotations import look_at
from lyra_data.camera_paths.splines import Curve
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import invert_rigid

SAMPLES_PER_SEGMENT = 64

STEEPEST = 0.999
"""Largest share of a view's direction that is straight up or down: 87 degrees."""


def key_pose_path(params: KeyPosesParams, *, centre_depth: float, where: str) -> PathPoses:
    """Return the path of key poses, densely, in their own unit, from the source's first camera.

    Positions and targets follow a curve each, over knots that grow by the root of the distance
    between key poses (centripetal: no loops between close ones).

    Args:
        centre_depth: in the unit of the key poses: 1 where that is the unit.

    Raises:
        InputError: a camera would face itself, straight up or straight down, or a coordinate is
            huge.
    """
    centre = (0.0, 0.0, centre_depth)
    positions = torch.tensor([pose.position for pose in params.poses], dtype=torch.float64)
    targets = torch.tensor([pose.target or centre for pose in params.poses], dtype=torch.float64)
    both = torch.cat([positions, targets], dim=1)
    steps = (both[1:] - both[:-1]).norm(dim=1).sqrt()
    knots = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
    shares = torch.arange(SAMPLES_PER_SEGMENT, dtype=torch.float64) / SAMPLES_PER_SEGMENT
    dense = (knots[:-1, None] + shares * steps[:, None]).flatten()
    dense = torch.cat([dense, knots[-1:]])
    along = Curve(knots, both).at(dense)
    positions, targets = along[:, :3], along[:, 3:]
    _check_views(positions, targets, knots, dense, where)
    camera_to_source = invert_rigid(look_at(positions, targets))
    return checked_poses(camera_to_source, where=where)


def _check_views(
    positions: Tensor, targets: Tensor, knots: Tensor, dense: Tensor, where: str
) -> None:
    """Refuse views without a direction, and those in which no direction is level."""
    views = targets - positions
    lengths = views.norm(dim=1)
    level = (views[:, 1].abs() <= STEEPEST * lengths) & (lengths > 0) & torch.isfinite(lengths)
    bad = torch.nonzero(~level)[:, 0]
    if len(bad):
        index = int(torch.searchsorted(knots, dense[bad[0]], right=True)) - 1
        raise InputError(
            f"after key pose {index} the camera faces straight up or down, or the point it is at",
            where=where,
            fix="move that key pose or its target",
        )
