"""Pictures in and out of GEN3C exactly as the reference makes them, where ours differ: ADR 0009."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import BFloat16, Float, UInt8
from torch import Tensor


def reference_image(
    image: UInt8[Tensor, "height width channel"], *, height: int, width: int
) -> BFloat16[Tensor, "1 3 {height} {width}"]:
    """Return the conditioning picture as the reference prepares its first one.

    RGBA is laid over white in double precision and cut to 8 bits; then v / 128 - 1, so that 255
    becomes 0.992; rounded to bfloat16, resized (bicubic, antialiased, not clipped), rounded again.
    Ours is `signed_from_bytes` of a picture that already has its size: see ADR 0009.
    Source: GEN3C's inference_utils.read_video_or_image_into_frames_BCTHW and resize.
    """
    pixels = image.double()
    if image.shape[2] == 4:
        alpha = pixels[..., 3:] / 255.0
        pixels = pixels[..., :3] * alpha + 255.0 * (1.0 - alpha)
    levels = pixels.to(torch.uint8).float()
    picture = rearrange(levels / 128.0 - 1.0, "height width colour -> 1 colour height width")
    resized = torch.nn.functional.interpolate(
        picture.bfloat16().float(),
        size=(height, width),
        mode="bicubic",
        align_corners=False,
        antialias=True,
    )
    return resized.bfloat16()


def reference_bytes(video: Float[Tensor, "*size"]) -> UInt8[Tensor, "*size"]:
    """Turn [-1, 1] into 0..255 as the reference does it: the fraction is dropped."""
    return ((1.0 + video).clamp(0, 2) * 127.5).to(torch.uint8)
