"""Pixel values: the bytes that are stored, and the ranges [-1, 1] and [0, 1] that networks take.

Bytes count levels 0..255. Level 255 is exactly 1 in both ranges and level 0 is -1 or 0, so one step
is 2/255 or 1/255. On the way back a value goes to the nearest level, with halves to the even one
(torch.round), so that bytes come back as they were; what lies beyond the range is clipped.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def signed_from_bytes(levels: UInt8[Tensor, "*size"]) -> Float[Tensor, "*size"]:
    """Turn levels 0..255 into [-1, 1], float32."""
    return levels.float() / 127.5 - 1.0


def bytes_from_signed(
    values: Float[Tensor, "*size"], *, overwrite: bool = False
) -> UInt8[Tensor, "*size"]:
    """Turn values in [-1, 1] into the nearest levels 0..255.

    Args:
        overwrite: compute in the memory of `values`, which are lost; for long videos.
    """
    clipped = values.clamp_(-1, 1) if overwrite else values.clamp(-1, 1)
    return clipped.add_(1).mul_(127.5).round_().to(torch.uint8)


def unit_from_bytes(levels: UInt8[Tensor, "*size"]) -> Float[Tensor, "*size"]:
    """Turn levels 0..255 into [0, 1], float32."""
    return levels.float() / 255.0


def bytes_from_unit(values: Float[Tensor, "*size"]) -> UInt8[Tensor, "*size"]:
    """Turn values in [0, 1] into the nearest levels 0..255."""
    return (values.clamp(0, 1) * 255.0).round().to(torch.uint8)


def signed_from_unit(values: Float[Tensor, "*size"]) -> Float[Tensor, "*size"]:
    """Turn values in [0, 1] into [-1, 1]."""
    return values * 2.0 - 1.0
