"""Are the poses rigid, and is the camera's path one that a camera can take?"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.clips.checks import bounds
from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.clips.checks.parts import ClipParts


def check_poses(parts: ClipParts) -> list[ClipFinding]:
    """Findings of each pose by itself; of the path only if there are none."""
    poses = parts.camera_to_world.double()
    numbers = torch.cat([poses.flatten(1), parts.intrinsics.double()], dim=1)
    broken = (~torch.isfinite(numbers)).any(dim=1)
    if bool(broken.any()):
        message = f"{int(broken.sum())} frames have a pose or intrinsics that are no numbers"
        return [parts.finding("pose-finite", message, frames=_indices(broken))]
    return [*_last_row(parts, poses), *_rotation(parts, poses)] or _jumps(parts, poses)


def rotation_steps(poses: Float[Tensor, "frame 4 4"]) -> Float[Tensor, " step"]:
    """Angle in degrees from each frame to the next."""
    chords = poses[:, :3, :3].double().diff(dim=0).flatten(1).norm(dim=1)
    return torch.rad2deg(2 * torch.asin((chords / math.sqrt(8)).clamp(max=1)))


def translation_steps(poses: Float[Tensor, "frame 4 4"]) -> Float[Tensor, " step"]:
    """Distance from each frame's camera to the next, in units of the world."""
    return poses[:, :3, 3].double().diff(dim=0).norm(dim=1)


def sudden(steps: Float[Tensor, " step"], bound: float) -> list[int]:
    """Frames that are reached by a step beyond the bound, and far beyond the median step."""
    if not len(steps):
        return []
    limit = max(bound, bounds.JUMP_OF_MEDIAN * float(steps.median()))
    return [index + 1 for index in _indices(steps > limit)]


def _last_row(parts: ClipParts, poses: Float[Tensor, "frame 4 4"]) -> list[ClipFinding]:
    error = (poses[:, 3] - poses.new_tensor([0.0, 0.0, 0.0, 1.0])).abs().amax(dim=1)
    wrong = error > bounds.LAST_ROW_ERROR
    if not bool(wrong.any()):
        return []
    worst = poses[int(error.argmax()), 3]
    message = f"a last row is {' '.join(f'{value:g}' for value in worst.tolist())}"
    return [
        parts.finding("pose-last-row", message, value=float(error.max()), frames=_indices(wrong))
    ]


def _rotation(parts: ClipParts, poses: Float[Tensor, "frame 4 4"]) -> list[ClipFinding]:
    rotation = poses[:, :3, :3]
    unit = torch.eye(3, dtype=poses.dtype)
    error = (rotation @ rotation.transpose(1, 2) - unit).abs().amax(dim=(1, 2))
    stretched, mirrored = error > bounds.ROTATION_ERROR, torch.linalg.det(rotation) <= 0
    findings = []
    if bool(stretched.any()):
        message = f"R R' differs from 1 by up to {float(error.max()):.2g}"
        value = float(error.max())
        findings.append(
            parts.finding("pose-rotation", message, value=value, frames=_indices(stretched))
        )
    if bool(mirrored.any()):
        message = f"{int(mirrored.sum())} of {len(poses)} rotations mirror"
        findings.append(parts.finding("pose-mirrored", message, frames=_indices(mirrored)))
    return findings


def _jumps(parts: ClipParts, poses: Float[Tensor, "frame 4 4"]) -> list[ClipFinding]:
    findings = []
    known = torch.cat([parts.known_depth(index) for index in range(len(parts))])
    steps, turns = translation_steps(poses), rotation_steps(poses)
    if len(known):
        depth = float(known.median())
        frames = sudden(steps, bounds.JUMP_OF_DEPTH * depth)
        if frames:
            share = float(steps[[frame - 1 for frame in frames]].max()) / depth
            message = f"the camera moves by {100 * share:.1f} % of the median depth in a frame"
            findings.append(parts.finding("translation-jump", message, value=share, frames=frames))
    frames = sudden(turns, bounds.JUMP_DEGREES)
    if frames:
        angle = float(turns[[frame - 1 for frame in frames]].max())
        message = f"the camera turns by {angle:.1f} degrees in a frame"
        findings.append(parts.finding("rotation-jump", message, value=angle, frames=frames))
    return findings


def _indices(mask: Tensor) -> list[int]:
    return torch.nonzero(mask).flatten().tolist()
