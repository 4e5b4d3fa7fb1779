"""Inputs of Gen3CPipeline in the forms that people give: pictures of Pillow's become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.media.images import tensor_of
from lyra_data.scene.pixel_values import signed_from_bytes


def picture_values(image: Any) -> Tensor:
    """Return conditioning pictures as a tensor [batch 3 height width], [-1, 1].

    Args:
        image: such a tensor, which is returned as it is, or one picture of Pillow's or several,
            each becoming one of the batch; their size is not changed.

    Raises:
        ParamsError: it is something else, or the pictures differ in size.
    """
    if isinstance(image, Tensor):
        return image
    pictures = list(image) if isinstance(image, Sequence) else [image]
    if not pictures or not all(isinstance(picture, Image.Image) for picture in pictures):
        raise ParamsError(
            f"image is a {type(image).__name__}",
            where="gen3c",
            fix="give a tensor [batch 3 height width] in [-1, 1], or pictures of Pillow's",
        )
    if len({picture.size for picture in pictures}) > 1:
        raise ParamsError(
            "the pictures of a batch differ in size",
            where="gen3c",
            fix="resize them to one, with their cameras, and warp the cache at that size",
        )
    values = torch.stack([tensor_of(picture.convert("RGB")) for picture in pictures])
    return signed_from_bytes(values)


def warped_values(warped: Any, name: str) -> Tensor:
    """Return what the cache shows as it is.

    Raises:
        ParamsError: it is no tensor, or has not the six axes of warped frames and masks.
    """
    if not isinstance(warped, Tensor) or warped.ndim != 6:
        found = tuple(warped.shape) if isinstance(warped, Tensor) else f"a {type(warped).__name__}"
        raise ParamsError(
            f"{name} is {found}",
            where="gen3c",
            fix="give a tensor [batch segment_frame buffer channel height width]",
        )
    return warped
