"""Points of what is known of frames, to look at: nothing is completed or guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_model.batches.targets import Targets
from lyra_model.fitting.unproject import UnprojectParams, known_beyond
from lyra_model.gaussians import Gaussians

_OPACITY = 0.95
_EXPECTED_FRAMES = 2.0
"""Points that all frames of a scene give together, in whole frames, about: the others do not add
again what the first shows."""


def known_points(frames: Sequence[Targets], *, at_most: int) -> Gaussians:
    """Return a small round Gaussian for the known pixels of frames, each thing once.

    Where the frames have more pixels than that, every k-th of every k-th row is taken, and stands
    for its neighbours.

    Args:
        frames: those of a view each; the sizes of views may differ.
    """
    params = UnprojectParams(opacity=_OPACITY, max_gaussians=at_most)
    points = Gaussians(
        means=torch.zeros(0, 3),
        scales=torch.zeros(0, 3),
        quats=torch.zeros(0, 4),
        opacities=torch.zeros(0),
        colors=torch.zeros(0, 3),
    )
    total = sum(len(one) for one in frames)
    for one in frames:
        pixels = one.cameras.height * one.cameras.width
        stride = math.ceil(math.sqrt(pixels * min(total, _EXPECTED_FRAMES) / at_most))
        points = known_beyond(points, thinned(one, max(1, stride)), params, seed=0)
    return points


def thinned(frames: Targets, stride: int) -> Targets:
    """Return frames of every k-th pixel of every k-th row, and the cameras that see just these."""
    start, cameras = stride // 2, frames.cameras
    if stride == 1 or min(cameras.height, cameras.width) <= start:
        return frames
    intrinsics = cameras.intrinsics / stride
    intrinsics[:, 2:] = (cameras.intrinsics[:, 2:] - start - PIXEL_CENTRE) / stride + PIXEL_CENTRE
    pictures = {
        name: getattr(frames, name)[..., start::stride, start::stride].contiguous()
        for name in ("rgb", "depth", "depth_valid", "filled")
    }
    height, width = pictures["depth"].shape[-2:]
    seen = Cameras(cameras.camera_to_world, intrinsics, height, width)
    return replace(frames, cameras=seen, **pictures)
