"""Lenses of paths: in heights of the picture, whatever size the picture has."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras

LARGEST_PICTURE = 100_000
"""Pixels of an edge."""


def lens_in_heights(
    intrinsics: Float[Tensor, "pose 4"], height: float, width: float, *, where: str
) -> Float[Tensor, "pose 4"]:
    """Return the lens of PathPoses out of intrinsics in pixels (pixel centres at +0.5).

    Raises:
        InputError: the picture's size is no size.
    """
    for name, size in (("height", height), ("width", width)):
        if not 1 <= size <= LARGEST_PICTURE:
            raise InputError(
                f"the picture's {name} is {size:g}",
                where=where,
                fix=f"give the size in pixels, from 1 to {LARGEST_PICTURE:,}",
            )
    centre = intrinsics.new_tensor([0.0, 0.0, width / 2, height / 2])
    return (intrinsics - centre) / height


def lens_of_view_angle(degrees: float) -> list[float]:
    """Return the lens with square pixels of a vertical field of view, its centre in the middle."""
    focal = 0.5 / math.tan(math.radians(degrees) / 2)
    return [focal, focal, 0.0, 0.0]


def checked_view_angle(degrees: Any, *, where: str) -> float:
    """Return a vertical field of view in degrees once it is one.

    Raises:
        InputError: it is no number between 0 and 180.
    """
    is_number = isinstance(degrees, int | float) and not isinstance(degrees, bool)
    if not is_number or not 0 < degrees < 180:
        raise InputError(
            f"fov = {degrees!r}"[:100],
            where=where,
            fix="give the vertical field of view in degrees, between 0 and 180",
        )
    return float(degrees)


def view_angles_of(cameras: Cameras) -> Float[Tensor, " frame"]:
    """Return the vertical fields of view in degrees."""
    focal = cameras.intrinsics[:, 1].double()
    return torch.rad2deg(2 * torch.atan(cameras.height / 2 / focal))


def intrinsics_of_lens(
    lens: Float[Tensor, "frame 4"], height: int, width: int
) -> Float[Tensor, "frame 4"]:
    """Return intrinsics in pixels of pictures of a size; the vertical field of view is kept."""
    centre = lens.new_tensor([0.0, 0.0, width / 2, height / 2])
    return lens * height + centre
