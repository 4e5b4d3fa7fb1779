"""ClipFacts: what a clip is, in numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.clip import Clip


@dataclass(frozen=True)
class ClipFacts:
    """Numbers of one clip.

    Attributes:
        unit: of depth and of the camera's path.
        depth_near, depth_far: 1st and 99th percentile of what is known; None: nothing is.
        depth_known: share of all pixels, 0..1.
        confidence: mean where depth is known; None: not told.
        moving: share of all pixels; None: not told.
        path_length: all steps of the camera added up.
        path_in_depths: the same over the median depth.
        turn_degrees: largest angle between any frame's camera and the first.
        step_degrees: largest angle from a frame to the next.
        focal_shortest, focal_longest: fx in pixels.
        view_degrees: horizontal angle of view of the first frame.
        source: what the clip was made from, as its annotator wrote it.
    """

    scene_id: str
    num_frames: int
    height: int
    width: int
    fps: float
    depth_scale: str
    unit: str
    depth_near: float | None
    depth_far: float | None
    depth_known: float
    confidence: float | None
    moving: float | None
    path_length: float
    path_in_depths: float | None
    turn_degrees: float
    step_degrees: float
    focal_shortest: float
    focal_longest: float
    view_degrees: float
    prompt: str
    source: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def unit_of(clip: Clip) -> str:
    """Return a short label of the unit: "m", or "units" where the scale is arbitrary."""
    return "m" if clip.depth_scale == "metric" else "units"


def facts_of(clip: Clip) -> ClipFacts:
    cameras, known = clip.cameras, clip.depth[clip.depth_valid].double().numpy()
    poses = cameras.camera_to_world.double()
    length = float(poses[:, :3, 3].diff(dim=0).norm(dim=1).sum())
    rotation = poses[:, :3, :3]
    near, middle, far = np.quantile(known, [0.01, 0.5, 0.99]).tolist() if len(known) else [None] * 3
    fx = cameras.intrinsics[:, 0].double()
    confidence, mask = clip.depth_confidence, clip.dynamic_mask
    return ClipFacts(
        scene_id=clip.scene_id,
        num_frames=len(clip),
        height=cameras.height,
        width=cameras.width,
        fps=clip.fps,
        depth_scale=clip.depth_scale,
        unit=unit_of(clip),
        depth_near=near,
        depth_far=far,
        depth_known=float(clip.depth_valid.double().mean()),
        confidence=(
            float(confidence[clip.depth_valid].double().mean())
            if confidence is not None and len(known)
            else None
        ),
        moving=None if mask is None else float(mask.double().mean()),
        path_length=length,
        path_in_depths=length / middle if middle else None,
        turn_degrees=_largest_angle(rotation - rotation[:1]),
        step_degrees=_largest_angle(rotation.diff(dim=0)),
        focal_shortest=float(fx.min()),
        focal_longest=float(fx.max()),
        view_degrees=float(torch.rad2deg(2 * torch.atan(cameras.width / (2 * fx[0])))),
        prompt=clip.prompt,
        source=dict(clip.source or {}),
    )


def _largest_angle(differences: Float[Tensor, "pair 3 3"]) -> float:
    """Return degrees between two rotations, from their difference; 0 of no pairs."""
    chords = differences.flatten(1).norm(dim=1)
    angles = torch.rad2deg(2 * torch.asin((chords / math.sqrt(8)).clamp(max=1)))
    return max(angles.tolist(), default=0.0)
