"""Arrays as pictures embedded in the page (data URIs)."""

from __future__ import annotations

import base64
import io

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

QUALITY = 82
"""WebP quality: its errors stay far under those the report shows, at a third of PNG's size."""


def photo_uri(image: UInt8[Tensor, "3 height width"], *, width: int) -> str:
    """A photograph, made smaller to `width` pixels where it is wider."""
    picture = Image.fromarray(rearrange(image, "c h w -> h w c").cpu().numpy())
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return _uri(picture)


def chart_uri(image: UInt8[np.ndarray, "height width 3"]) -> str:
    """A false-colour map, at its own size."""
    return _uri(Image.fromarray(image))


def _uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
