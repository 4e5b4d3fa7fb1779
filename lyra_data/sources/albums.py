"""Pictures among inputs: which files are pictures of their own, and which folders hold such."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from lyra_data.engine.errors import InputError
from lyra_data.media.images import PHOTO_FORMATS
from lyra_data.sources.files import PHOTO_SUFFIXES
from lyra_data.sources.picture import files_beside

MAX_MEASURED = 64
"""Pictures of a folder whose sizes are read; a film of thousands of frames has one size."""

DEPTH_ENDING = ".depth"
"""Ends the stem of a depth map that lies beside a picture: NAME.depth.png of NAME.jpg."""


def is_picture(path: Path) -> bool:
    """Return whether a file's name says that it is a picture."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def pictured_by(path: Path) -> Path | None:
    """Return the picture whose depth map a file is by its name; None: it is not one's."""
    name, ending = path.stem[: -len(DEPTH_ENDING)], path.stem[-len(DEPTH_ENDING) :]
    if ending != DEPTH_ENDING:
        return None
    pictures = (path.with_name(f"{name}{suffix}") for suffix in PHOTO_SUFFIXES)
    return next((picture for picture in pictures if picture.is_file()), None)


def without_depth_maps(paths: Sequence[Path]) -> list[Path]:
    """Return the paths without the depth maps of pictures among them, as `*.png` lists both.

    Raises:
        InputError: a depth map is given without its picture.
    """
    known = {path.resolve() for path in paths}
    kept = []
    for path in paths:
        picture = pictured_by(path) if is_picture(path) else None
        if picture is None:
            kept.append(path)
        elif picture.resolve() not in known:
            raise InputError(
                f"this is the depth map of {picture.name}",
                where=str(path),
                fix="give the picture; its depth is found beside it",
            )
    return kept


def is_album(frames: Sequence[Path]) -> bool:
    """Return whether a folder's pictures are scenes of their own and no frames of one film.

    They are where one has a depth map beside it, or where sizes differ (a film has one) and names
    differ in more than their numbers: an odd frame among numbered ones is a fault to be told.
    """
    if len(frames) < 2:
        return bool(frames)
    if any("depth" in files_beside(frame) for frame in frames if pictured_by(frame) is None):
        return True
    words = {re.sub(r"[0-9]+", "0", frame.stem) for frame in frames}
    if len(words) == 1:
        return False
    sizes = [_size(frame) for frame in frames[:MAX_MEASURED]]
    return None not in sizes and len(set(sizes)) > 1


def _size(path: Path) -> tuple[int, int] | None:
    """Return the sides in pixels, the longer first, by the header; None where it has none."""
    try:
        with Image.open(path, formats=PHOTO_FORMATS) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return max(width, height), min(width, height)
