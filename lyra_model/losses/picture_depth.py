"""Error of where the Gaussians of pictures' pixels are, compared with the pictures' own depth.

Renders say of a wrong Gaussian only what shows of it, through all others that cover it; this says
it of each one directly. Not in the reference.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lyra_model.losses.base import LossInput

LEAST_SHARE = 1e-3
"""Least depth that is told from others, in shares of the true one."""


def picture_depth_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:  # noqa: ARG001
    """Mean of |ln z - ln true z| over the pixels of known depth; 0 where there are none."""
    truth = inputs.picture_truth
    assert truth is not None, "only a decoder of pictures has this loss"
    true, world_to_camera = truth.depth, truth.world_to_camera
    assert len(inputs.gaussians) == true.numel(), "a Gaussian for every pixel: without pruning"
    means = rearrange(
        inputs.gaussians.means,
        "(picture height width) xyz -> picture height width xyz",
        height=true.shape[1],
        width=true.shape[2],
    )
    depth = torch.einsum("pj,phwj->phw", world_to_camera[:, 2, :3], means)
    depth = depth + world_to_camera[:, 2, 3, None, None]
    known = true > 0
    found = depth[known].clamp(min=LEAST_SHARE * true[known])
    return (found.log() - true[known].log()).abs().sum() / max(int(known.sum()), 1)
