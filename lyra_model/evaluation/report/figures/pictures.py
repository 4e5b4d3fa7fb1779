"""Arrays as pictures embedded in the page (data URIs)."""

from __future__ import annotations

import base64
import io

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from lyra_data.media.colour_maps import Picture, colour_levels

QUALITY = 82
"""WebP quality: its errors stay far under those the report shows, at a third of PNG's size."""


def photo_uri(image: UInt8[Tensor, "3 height width"], *, width: int) -> str:
    """Return a photograph as a data URI, made smaller to `width` pixels where it is wider."""
    picture = Image.fromarray(rearrange(image, "c h w -> h w c").cpu().numpy())
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return _uri(picture)


def chart_uri(image: Picture) -> str:
    """Return a false-colour map as a data URI, at its own size."""
    return _uri(Image.fromarray(image))


def css_gradient(colour_map: int, *, backwards: bool, num_stops: int = 12) -> str:
    """Return a colour map as a CSS linear-gradient from left to right."""
    levels = np.linspace(1, 0, num_stops) if backwards else np.linspace(0, 1, num_stops)
    stops = colour_levels(levels[None], colour_map)[0]
    colours = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in stops)
    return f"linear-gradient(90deg, {', '.join(colours)})"


def _uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
