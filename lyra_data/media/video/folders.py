"""Folders of frames: pictures of one size, in the order of the numbers in their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.media.images import Turned, read_photo
from lyra_data.media.video.reading import check_memory

FRAME_SUFFIXES = (".png", ".jpg", ".jpeg")


OTHER_SUFFIXES = (
    ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".jfif", ".jpe", ".jp2",
    ".jxl", ".dng", ".tga", ".ppm",
)  # fmt: skip
"""Pictures that are not read: left out, they would be moments missing from a film."""


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder, in the order of the numbers in their names.

    Raises:
        InputError: pictures of a kind that is not read lie between them, or one is there twice
            under two suffixes.
    """
    entries = sorted((path for path in folder.iterdir() if path.name[0] != "."), key=_by_name)
    frames = [path for path in entries if path.suffix.lower() in FRAME_SUFFIXES]
    names = Counter(path.stem for path in frames)
    doubled = [path.name for path in frames if names[path.stem] > 1]
    if doubled:
        raise InputError(
            f"{', '.join(doubled[:2])}: one name under two suffixes would show a moment twice",
            where=str(folder),
            fix="keep the frames of one kind, and move the others away",
        )
    # A picture kept beside its frame under another suffix is no frame that is missing.
    others = [
        path for path in entries if path.suffix.lower() in OTHER_SUFFIXES and path.stem not in names
    ]
    if frames and others:
        raise InputError(
            f"{len(others)} of {len(frames) + len(others)} pictures are of a kind that is not "
            f"read, first {others[0].name}",
            where=str(folder),
            fix="convert them to PNG, or move them away where they are no frames",
        )
    return frames


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def read_frames(
    paths: Sequence[Path], *, turned: Turned = "refuse"
) -> UInt8[Tensor, "frame 3 height width"]:
    """Read pictures of one size.

    Args:
        turned: as of `read_photo`.

    Raises:
        InputError: as `read_photo`; sizes differ; they are more than memory is given to.
    """
    frames = None
    for index, frame in enumerate(each_of_frames(paths, turned=turned)):
        if frames is None:
            check_memory(len(paths), *frame.shape[1:], where=paths[0].parent)
            frames = torch.empty((len(paths), *frame.shape), dtype=torch.uint8)
        frames[index] = frame
    assert frames is not None
    return frames


def each_of_frames(
    paths: Sequence[Path], *, turned: Turned = "refuse"
) -> Iterator[UInt8[Tensor, "3 height width"]]:
    """Yield pictures of one size, one at a time.

    Raises:
        InputError: as `read_frames`, but for memory.
    """
    first = None
    for path in paths:
        frame = read_photo(path, turned=turned)
        first = frame if first is None else first
        if frame.shape != first.shape:
            raise InputError(
                f"this frame has {frame.shape[2]}x{frame.shape[1]} pixels, the first one "
                f"{first.shape[2]}x{first.shape[1]}",
                where=str(path),
                fix="give frames of one size, and nothing else in the folder; pictures that are "
                "scenes of their own are named one by one",
            )
        yield frame


def _by_name(path: Path) -> tuple[tuple[int, int, str], ...]:
    return natural_order(path.name)
