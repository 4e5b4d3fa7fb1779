"""Pictures in and out: bytes to [-1, 1] and back, ours and exactly as the reference does it."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import BFloat16, Float, UInt8
from torch import Tensor


def from_bytes(image: UInt8[Tensor, "*size"]) -> Float[Tensor, "*size"]:
    """0..255 to [-1, 1]: 255 becomes 1."""
    return image.float() / 127.5 - 1.0


def to_bytes(video: Float[Tensor, "*size"]) -> UInt8[Tensor, "*size"]:
    """[-1, 1] to 0..255, rounded, so that `from_bytes` is undone; beyond the range is clipped."""
    return ((video.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def reference_image(
    image: UInt8[Tensor, "height width channel"], *, height: int, width: int
) -> BFloat16[Tensor, "1 3 {height} {width}"]:
    """The conditioning picture as the reference prepares its first one.

    RGBA is laid over white in double precision and cut to 8 bits; then v / 128 - 1, so that 255
    becomes 0.992; rounded to bfloat16, resized (bicubic, antialiased, not clipped), rounded again.
    Ours is `from_bytes` of a picture that already has its size: see ADR 0009.
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
    """[-1, 1] to 0..255 as the reference does it: the fraction is dropped."""
    return ((1.0 + video).clamp(0, 2) * 127.5).to(torch.uint8)
