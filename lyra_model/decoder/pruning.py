"""Keep the most opaque Gaussians."""

from __future__ import annotations

import torch

from lyra_model.gaussians import Gaussians


def num_kept(num_gaussians: int, prune_ratio: float) -> int:
    """Return int(N (1 - r)) in double precision, as the reference does: 100 at r = 0.8 keeps 19."""
    return int(num_gaussians * (1 - prune_ratio))


def prune(gaussians: Gaussians, prune_ratio: float) -> Gaussians:
    """Return the most opaque Gaussians by falling opacity; a ratio of 0 keeps all in their order.

    Equal opacities keep their order, so the result is repeatable.
    """
    assert 0 <= prune_ratio < 1, prune_ratio
    if prune_ratio == 0:
        return gaussians
    order = torch.argsort(gaussians.opacities.detach(), descending=True, stable=True)
    return gaussians[order[: num_kept(len(gaussians), prune_ratio)]]
