"""The photos of scikit-image that cover the surfaces of procedural scenes."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float

SEEN = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "clock",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "retina",
)
"""On surfaces of scenes for training, and of half of the scenes that are kept from it."""

UNSEEN = ("coffee", "coins", "rocket", "text")
"""On surfaces of the other half alone."""

LARGEST_SIDE = 512


@cache
def photo(name: str) -> Float[np.ndarray, "height width 3"]:
    """One of scikit-image's bundled pictures, 0..1, grey ones in three equal channels."""
    from skimage import data
    from skimage.transform import resize

    pixels = np.asarray(getattr(data, name)())
    pixels = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels[..., :3]
    scale = min(1.0, LARGEST_SIDE / max(pixels.shape[:2]))
    size = (round(pixels.shape[0] * scale), round(pixels.shape[1] * scale))
    return np.asarray(resize(pixels / 255.0, size, anti_aliasing=True), dtype=np.float64)


def look_up(
    texture: Float[np.ndarray, "height width 3"], places: Float[np.ndarray, "ray 2"]
) -> Float[np.ndarray, "ray 3"]:
    """Colours at places in units of the picture's width, bilinear; beyond it, it is mirrored."""
    height, width = texture.shape[:2]
    x, y = _mirrored(places[:, 0] * width, width), _mirrored(places[:, 1] * width, height)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = texture[top, left] * (1 - across) + texture[top, right] * across
    lower = texture[bottom, left] * (1 - across) + texture[bottom, right] * across
    return upper * (1 - down) + lower * down


def _mirrored(places: np.ndarray, size: int) -> np.ndarray:
    """Places in 0..size - 1, running back and forth."""
    period = 2.0 * (size - 1)
    within = np.mod(places, period)
    return np.minimum(within, period - within)
