"""Bring latents of views, of their rays and of their times into the form the decoder reads."""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from lyra_data.models.codecs.base import LatentCodec

SIGMA_DATA = 0.5
"""Standard deviation that the diffusion model's latents are normalised to."""


def join_views(views: list[Float[Tensor, "c _ h w"]]) -> Float[Tensor, "view_t c h w"]:
    """Join latents [c, t, h, w] of several views on one axis of latent frames, view slowest."""
    return torch.cat([rearrange(view, "c t h w -> t c h w") for view in views])


def denormalise(
    generated: Float[Tensor, "16 t h w"],
    mean: Float[Tensor, "16 t"],
    std: Float[Tensor, "16 t"],
) -> Float[Tensor, "16 t h w"]:
    """Return codec latents, given the normalised ones that the diffusion model generates and saves.

    Args:
        mean, std: the codec's statistics per channel and latent frame (its mean_std.pt).
    """
    return generated / SIGMA_DATA * std[:, :, None, None] + mean[:, :, None, None]


def encode_rays(
    pluecker: Float[Tensor, "frame 6 height width"], codec: LatentCodec
) -> Float[Tensor, "t 32 h w"]:
    """Encode moments and directions of one view, each as if a video, and join them on channels.

    The values are given to the codec as they are: directions lie in [-1, 1], moments need not.
    """
    videos = rearrange(pluecker, "frame (part c) h w -> part c frame h w", part=2)
    encoded = torch.stack([codec.encode(video) for video in videos])
    return rearrange(encoded, "part c t h w -> t (part c) h w")


def encode_times(
    embeddings: Float[Tensor, "frames_and_target 3"],
    codec: LatentCodec,
    *,
    height: int,
    width: int,
) -> Float[Tensor, "latents_and_target 16 h w"]:
    """Return latents of the input times and, last, of the target time.

    Every embedding is spread over an image of one colour, mapped to [-1, 1] by 2x - 1; the inputs
    are encoded as one video, the target as a video of one frame.
    """
    videos = repeat(embeddings * 2 - 1, "frame c -> c frame h w", h=height, w=width)
    return join_views([codec.encode(videos[:, :-1]), codec.encode(videos[:, -1:])])
