"""Error of where the Gaussians of pictures' pixels are, compared with the pictures' own depth.

Renders say of a wrong Gaussian only what shows of it, through all others that cover it; this says
it of each one directly. Not in the reference.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lyra_data.scene.cameras import invert_rigid
from lyra_model.losses.base import LossInput

LEAST_SHARE = 1e-3
"""Least depth that is told from others, in shares of the true one."""


def picture_depth_loss(inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:  # noqa: ARG001
    """Mean of |ln z - ln true z| over the pixels of known depth; 0 where there are none."""
    pictures = inputs.pictures
    assert pictures is not None, "only a decoder of pictures has this loss"
    assert pictures.depth is not None, "pictures without depth"
    assert len(pictures.rgb) == 1, "one scene at a time"
    true, rgb = pictures.depth[0], pictures.rgb[0]
    assert len(inputs.gaussians) == true.numel(), "a Gaussian for every pixel: without pruning"
    height, width = rgb.shape[2:]
    means = rearrange(
        inputs.gaussians.means * inputs.scene_scale,
        "(picture height width) xyz -> picture height width xyz",
        height=height,
        width=width,
    )
    world_to_camera = invert_rigid(pictures.camera_to_world[0])
    depth = torch.einsum("pj,phwj->phw", world_to_camera[:, 2, :3], means)
    depth = depth + world_to_camera[:, 2, 3, None, None]
    known = true > 0
    found = depth[known].clamp(min=LEAST_SHARE * true[known])
    return (found.log() - true[known].log()).abs().sum() / max(int(known.sum()), 1)
