"""Focal lengths that cameras write into their pictures (EXIF), in pixels."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags

from lyra_data.media.camera_files import MAX_FOCAL_PER_WIDTH, MIN_FOCAL_PER_WIDTH
from lyra_data.media.images import PHOTO_FORMATS, opened_image

log = logging.getLogger(__name__)

FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
"""An equivalent focal length is that of the same diagonal field of view on 36x24 mm (CIPA DCG-001;
Depth Pro reads it so too)."""

MILLIMETRES_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}
"""EXIF FocalPlaneResolutionUnit: inch, centimetre and, of some cameras, millimetre, micrometre."""

CROP_TOLERANCE = 0.02
"""Largest relative difference of two aspect ratios that rounding of sizes explains."""


@dataclass(frozen=True)
class FocalLength:
    """A focal length as a camera states it.

    Attributes:
        pixels: of the picture as it is stored; the same when it is turned upright.
        stated: the tags that it follows from, with their values.
    """

    pixels: float
    stated: str


def focal_length_of(path: Path) -> FocalLength | None:
    """Return the focal length in a PNG or JPEG file's EXIF; None where none can be used.

    A picture whose shape is no longer the one that the camera recorded was cropped, and its focal
    length is that of the whole.

    Raises:
        InputError: the file is missing, cut, or no PNG or JPEG.
    """
    with opened_image(path, formats=PHOTO_FORMATS) as image:
        width, height = image.size
        try:
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        except (struct.error, ValueError, TypeError, KeyError, SyntaxError, OSError) as error:
            log.warning("%s: its EXIF is damaged and not read (%s)", path, error)
            return None
    recorded_width = _positive(tags, "ExifImageWidth")
    recorded_height = _positive(tags, "ExifImageHeight")
    shrunk = 1.0
    if recorded_width is not None and recorded_height is not None:
        long_side, short_side = sorted((recorded_width, recorded_height), reverse=True)
        shrunk = max(width, height) / long_side
        if abs(min(width, height) / short_side / shrunk - 1) > CROP_TOLERANCE:
            log.warning("%s was cropped: the focal length in its EXIF is not taken", path)
            return None
    focal = _equivalent(tags, width, height) or _of_focal_plane(tags, shrunk)
    if focal is None:
        return None
    if not MIN_FOCAL_PER_WIDTH <= focal.pixels / max(width, height) <= MAX_FOCAL_PER_WIDTH:
        log.warning("%s: %s is impossible, and not taken", path, focal.stated)
        return None
    return focal


def _equivalent(tags: Mapping[int, Any], width: int, height: int) -> FocalLength | None:
    millimetres = _positive(tags, "FocalLengthIn35mmFilm")
    if millimetres is None:
        return None
    pixels = millimetres * math.hypot(width, height) / FULL_FRAME_DIAGONAL_MM
    return FocalLength(pixels, f"EXIF FocalLengthIn35mmFilm {millimetres:g} mm")


def _of_focal_plane(tags: Mapping[int, Any], shrunk: float) -> FocalLength | None:
    """Return millimetres times the sensor's pixels a millimetre, in pixels of this picture.

    The resolution is of the picture that the camera recorded, and stays so in a copy that is
    `shrunk` times as large.
    """
    millimetres = _positive(tags, "FocalLength")
    resolution = _positive(tags, "FocalPlaneXResolution")
    unit = MILLIMETRES_PER_UNIT.get(int(_positive(tags, "FocalPlaneResolutionUnit") or 2))
    if millimetres is None or resolution is None or unit is None:
        return None
    pixels = millimetres * resolution / unit * shrunk
    stated = f"EXIF FocalLength {millimetres:g} mm, FocalPlaneXResolution {resolution:g}"
    return FocalLength(pixels, stated)


def _positive(tags: Mapping[int, Any], name: str) -> float | None:
    """Return the number of a tag; None where it is not there, or 0, which means unknown."""
    try:
        value = float(tags[ExifTags.Base[name]])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) and value > 0 else None
