"""Arrays as pictures embedded in the page (data URIs)."""

from __future__ import annotations

import base64
import io

import numpy as np
from einops import rearrange
from jaxtyping import Bool, UInt8
from PIL import Image
from torch import Tensor

from lyra_data.media.colour_maps import Picture, colour_error, colour_levels

QUALITY = 78
"""WebP quality: its errors stay far under those the report shows, at a third of PNG's size."""

MAP_WIDTH = 480
"""Pixels; more of the maps of a page would make it heavy to send."""

_STRIPES_PER_ROW = 80  # pictures are scaled to one width: so hatching looks alike at every size
_SMALLEST_STRIPES = 4  # pixels


def photo_uri(image: UInt8[Tensor, "3 height width"], *, width: int) -> str:
    """Return a photograph as a data URI, made smaller to `width` pixels where it is wider."""
    return _uri(_photo(image, width))


def photo_bytes(image: UInt8[Tensor, "3 height width"], *, width: int) -> bytes:
    """Return a photograph as a WebP file, made smaller to `width` pixels where it is wider."""
    return _webp(_photo(image, width))


def _photo(image: UInt8[Tensor, "3 height width"], width: int) -> Image.Image:
    picture = Image.fromarray(rearrange(image, "c h w -> h w c").cpu().numpy())
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return picture


def chart_uri(image: Picture) -> str:
    """Return a false-colour map as a data URI, pixels left out where it is wider than MAP_WIDTH.

    Colours are never mixed, for each stands for a value.
    """
    step = -(-image.shape[1] // MAP_WIDTH)
    return _uri(Image.fromarray(np.ascontiguousarray(image[step // 2 :: step, step // 2 :: step])))


def error_uri(
    image: UInt8[Tensor, "3 height width"],
    truth: UInt8[Tensor, "3 height width"],
    counted: Bool[Tensor, "height width"] | None = None,
) -> str:
    """Return the map of an error as a data URI; hatched where nothing is counted."""
    judged = None if counted is None else counted.cpu().numpy()
    period = hatch_period(image)
    return chart_uri(
        colour_error(image.cpu().numpy(), truth.cpu().numpy(), judged, hatch_period=period)
    )


def hatch_period(picture: Tensor) -> int:
    """Return the distance of hatching's stripes, in pixels of this picture."""
    return max(_SMALLEST_STRIPES, picture.shape[-1] // _STRIPES_PER_ROW)


def css_gradient(colour_map: int, *, backwards: bool, num_stops: int = 12) -> str:
    """Return a colour map as a CSS linear-gradient from left to right."""
    levels = np.linspace(1, 0, num_stops) if backwards else np.linspace(0, 1, num_stops)
    stops = colour_levels(levels[None], colour_map)[0]
    colours = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in stops)
    return f"linear-gradient(90deg, {', '.join(colours)})"


def _uri(picture: Image.Image) -> str:
    return "data:image/webp;base64," + base64.b64encode(_webp(picture)).decode("ascii")


def _webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()
