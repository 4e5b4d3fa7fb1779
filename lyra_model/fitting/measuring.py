"""Measure how well Gaussians show frames."""

from __future__ import annotations

import math

import torch

from lyra_model.batches.targets import Targets
from lyra_model.gaussians import Gaussians
from lyra_model.metrics.psnr import psnr
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams


@torch.no_grad()
def mean_psnr_db(
    gaussians: Gaussians, targets: Targets, rendering: RenderingParams, *, invented: bool = True
) -> float:
    """Return the mean of the frames' PSNR in decibels; memory holds one rendered frame.

    Args:
        invented: count pixels that the teacher invented too; a frame that it invented whole has
            no PSNR without them.
    """
    values = []
    for frame in range(len(targets)):
        one = targets[[frame]].to(gaussians.means.device)
        mask = None if invented else ~one.filled
        value = psnr(render(gaussians, one.cameras, rendering).rgb, one.rgb, mask).mean
        if not math.isnan(value):
            values.append(value)
    return sum(values) / len(values) if values else math.nan


def even_choice(targets: Targets, most: int) -> Targets:
    """Return at most so many of the frames, evenly spaced, in order."""
    chosen = torch.linspace(0, len(targets) - 1, min(most, len(targets))).long()
    return targets[chosen.tolist()]
