"""Pose AUC: how many pairs of cameras stand right to each other, over all tolerances at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from lyra_data.scene.cameras import invert_rigid

THRESHOLDS_DEGREES = (5.0, 10.0, 20.0, 30.0)

AucRule = Literal["exact", "whole degrees"]
"""The area under the curve of recall over tolerance: "exact" joins the errors by straight lines
(SuperGlue, NoPoSplat); "whole degrees" averages the recall at bins of one degree (PoseDiffusion,
VGGT, WorldMirror). The two differ by a few hundredths."""


@dataclass(frozen=True)
class PairErrors:
    """Errors of the relative pose of every pair of cameras, in degrees.

    Attributes:
        rotation: angle of the rotation between the predicted and the true relative rotation.
        translation: angle between the directions of both translations, 0 to 90: their sign does not
            count, nor does their length. Where the true cameras stand at one place there is no
            direction, and this is 0; where only the predicted ones do, it is 90.
    """

    rotation: Float64[Tensor, " pair"]
    translation: Float64[Tensor, " pair"]

    @property
    def largest(self) -> Float64[Tensor, " pair"]:
        """Return the larger of both, which pose AUC is made of."""
        return torch.maximum(self.rotation, self.translation)


def pair_errors(
    predicted: Float[Tensor, "frame 4 4"], target: Float[Tensor, "frame 4 4"]
) -> PairErrors:
    """Return the errors of all pairs i < j of cameras, in float64.

    Only relative poses are compared, so no alignment of the two sets is needed.

    Args:
        predicted, target: camera_to_world, OpenCV axes, the same frames in the same order.
    """
    first, second = torch.combinations(torch.arange(len(target))).unbind(-1)
    relative = []
    for camera_to_world in (predicted.double(), target.double()):
        world_to_camera = invert_rigid(camera_to_world)
        relative.append(world_to_camera[second] @ camera_to_world[first])
    ours, theirs = relative
    difference = ours[:, :3, :3] @ theirs[:, :3, :3].transpose(1, 2)
    return PairErrors(
        _rotation_angle(difference), _angle_of_lines(ours[:, :3, 3], theirs[:, :3, 3])
    )


def pose_auc(
    errors_degrees: Float[Tensor, " pair"],
    *,
    thresholds_degrees: Sequence[float] = THRESHOLDS_DEGREES,
    rule: AucRule = "exact",
) -> dict[float, float]:
    """Return the area under the curve of recall for tolerances from 0 to each threshold, 0 to 1.

    Args:
        errors_degrees: one a pair, of one scene or of many.
    """
    errors = errors_degrees.double().sort().values
    area = _exact_area if rule == "exact" else _area_of_whole_degrees
    return {float(limit): area(errors, float(limit)) for limit in thresholds_degrees}


def _exact_area(errors: Float64[Tensor, " pair"], limit: float) -> float:
    recall = torch.arange(1, len(errors) + 1, dtype=torch.float64) / len(errors)
    inside = int((errors < limit).sum())
    zero, end = torch.zeros(1, dtype=torch.float64), torch.tensor([limit], dtype=torch.float64)
    x = torch.cat([zero, errors[:inside], end])
    y = torch.cat([zero, recall[:inside]])
    return float(torch.trapezoid(torch.cat([y, y[-1:]]), x)) / limit


def _area_of_whole_degrees(errors: Float64[Tensor, " pair"], limit: float) -> float:
    # limit + 1 bins from 0 to the limit, each a little narrower than one degree: as published.
    num_bins = int(limit) + 1
    counts = torch.histc(errors, bins=num_bins, min=0, max=limit)
    return float((counts / len(errors)).cumsum(0).mean())


def _rotation_angle(rotation: Float64[Tensor, "pair 3 3"]) -> Float64[Tensor, " pair"]:
    # From sine and cosine: the arc cosine alone has no digits left near 0 and 180 degrees.
    cosine = (rotation.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    skew = rotation - rotation.transpose(1, 2)
    sine = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1).norm(dim=1) / 2
    return torch.rad2deg(torch.atan2(sine, cosine))


def _angle_of_lines(
    predicted: Float64[Tensor, "pair 3"], target: Float64[Tensor, "pair 3"]
) -> Float64[Tensor, " pair"]:
    sine = torch.linalg.cross(predicted, target).norm(dim=1)
    cosine = (predicted * target).sum(1).abs()
    angle = torch.rad2deg(torch.atan2(sine, cosine))
    has_no_direction = target.norm(dim=1) == 0
    is_unknown = predicted.norm(dim=1) == 0
    angle = torch.where(is_unknown, torch.full_like(angle, 90.0), angle)
    return torch.where(has_no_direction, torch.zeros_like(angle), angle)
