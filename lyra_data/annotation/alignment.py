"""Alignment: windows of one shot, each solved in a world of its own, brought into one world.

Two windows agree on the frames they share. The ratio of their depths there, pixel by pixel, tells
the scale, however little the camera moves; the poses tell the rest. See ADR 0036.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.scene.clip import Clip
from lyra_data.scene.similarity import Similarity, nearest_rotation

LEAST_PIXELS = 200
"""Pixels whose depth both windows have to know; fewer may agree by chance."""

LARGEST_TURN_DEGREES = 3.0
LARGEST_SHIFT = 0.05
LARGEST_SPREAD = 0.1
"""Windows that disagree more about their shared frames saw two structures: see `Alignment`."""


@dataclass(frozen=True)
class Alignment:
    """The way from a window's world to that of the window before it, and what is left of doubt.

    Attributes:
        num_frames: that both windows show.
        turn_degrees: the largest angle left between two poses of one frame.
        shift: the largest distance left between two positions of one frame, in units of the median
            depth.
        spread: the median of what is left between two depths of one pixel, in shares of depth.
    """

    similarity: Similarity
    num_frames: int
    turn_degrees: float
    shift: float
    spread: float

    def __str__(self) -> str:
        return (
            f"scale {self.similarity.scale:.4f}; {self.num_frames} shared frames agree to "
            f"{self.turn_degrees:.2f} degrees, {100 * self.shift:.2f} % of the depth in position, "
            f"{100 * self.spread:.2f} % in depth"
        )


def align(fixed: Clip, moved: Clip) -> Alignment:
    """Return the similarity that brings `moved` into the world of `fixed`.

    Args:
        fixed, moved: the same frames, of two windows.

    Raises:
        InputError: too little depth is known to both, or they disagree about the structure.
    """
    assert len(fixed) == len(moved), (len(fixed), len(moved))
    where = f"scene {moved.scene_id}"
    known = fixed.depth_valid & moved.depth_valid & ~_moving(fixed) & ~_moving(moved)
    if int(known.sum()) < LEAST_PIXELS:
        raise InputError(
            f"only {int(known.sum())} pixels of the {len(fixed)} frames that it shares with "
            f"{fixed.scene_id} have a depth in both ({LEAST_PIXELS} are needed)",
            where=where,
            fix="raise annotate.parts.windows.overlap",
        )
    depth = fixed.depth[known].double()
    ratios = torch.log(depth / moved.depth[known].double())
    scale = float(ratios.median().exp())
    poses, others = (each.cameras.camera_to_world.double() for each in (fixed, moved))
    turns = poses[:, :3, :3] @ others[:, :3, :3].transpose(1, 2)
    rotation = nearest_rotation(turns.mean(0))
    shifts = poses[:, :3, 3] - scale * others[:, :3, 3] @ rotation.T
    translation = shifts.mean(0)
    left = (shifts - translation).norm(dim=1)
    alignment = Alignment(
        Similarity(scale, rotation, translation),
        len(fixed),
        turn_degrees=float(_angles(rotation.T @ turns).max()),
        shift=float(left.max() / depth.median()),
        spread=float((ratios - ratios.median()).abs().median().expm1()),
    )
    if (
        alignment.turn_degrees > LARGEST_TURN_DEGREES
        or alignment.shift > LARGEST_SHIFT
        or alignment.spread > LARGEST_SPREAD
    ):
        raise InputError(
            f"it disagrees with {fixed.scene_id} about the frames that both show: {alignment}",
            where=where,
            fix="raise annotate.parts.windows.frames, for more parallax in each window",
        )
    return alignment


def _moving(clip: Clip) -> Bool[Tensor, "frame height width"]:
    """Return the pixels that are known to move; none where the annotator does not tell."""
    mask = clip.dynamic_mask
    return torch.zeros_like(clip.depth_valid) if mask is None else mask


def _angles(rotations: Tensor) -> Tensor:
    """Return the angles of rotations [frame 3 3] in degrees, exact for small ones."""
    skew = rotations - rotations.transpose(1, 2)
    sines = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], -1).norm(dim=-1)
    cosines = rotations.diagonal(dim1=1, dim2=2).sum(-1) - 1
    return torch.rad2deg(torch.atan2(sines, cosines))
