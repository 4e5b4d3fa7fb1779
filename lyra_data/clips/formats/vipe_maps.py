"""Depth maps and instance masks of a ViPE result: one picture a frame in a zip archive."""

from __future__ import annotations

import io
import logging
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_number
from lyra_data.media.depth_files import check_exr_size
from lyra_data.media.images import readable
from lyra_data.media.png_data import decode_png

log = logging.getLogger(__name__)

SKY = "sky"
"""ViPE's name of the instance that is the sky; it does not move."""

ENTRY_NAME = "{:05d}.{}"
"""Name of a frame's picture in its archive."""

ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
"""Errors that Python's reader raises at a damaged or encrypted archive."""

MAX_BYTES_PER_PIXEL = 16
"""A depth map has 2; an archive that unpacks to more was not written by ViPE."""
MAX_HEADER_BYTES = 1 << 20


def read_vipe_depth(
    path: Path, *, num_frames: int, height: int, width: int
) -> tuple[Float[Tensor, "frame height width"], Bool[Tensor, "frame height width"]]:
    """Read z depth of all frames, exactly 0 where it is unknown, and where it is known.

    NaN, infinity and 0 mean unknown, as in ViPE's own reader; nothing is filled in.

    Raises:
        InputError: the archive is missing or damaged, a frame has no depth map, one is unreadable,
            of another size or holds negative depth, or no depth is known at all.
    """
    depth = torch.zeros(num_frames, height, width)
    with opened_archive(path) as archive:
        _check_entries(archive, path, num_frames, suffix="exr", noun="depth map")
        for index in range(num_frames):
            entry = ENTRY_NAME.format(index, "exr")
            values = read_exr_entry(archive, path, entry, num_pixels=height * width)
            _check_size(values, f"{path}: {entry}", height=height, width=width)
            if (values < 0).any():
                raise InputError(
                    f"negative depth in {int((values < 0).sum())} of {values.size} pixels, "
                    f"the least {values[values < 0].min():g}",
                    where=f"{path}: {entry}",
                    fix="write 0 where depth is unknown; depth is the distance along z",
                )
            known = np.isfinite(values) & (values > 0)
            if not known.any():
                log.warning("%s: no depth is known in frame %d", path, index)
            depth[index] = torch.from_numpy(np.where(known, values, np.float32(0)))
    valid = depth > 0
    if not valid.any():
        raise InputError(
            f"no depth is known in any of the {num_frames} frames",
            where=str(path),
            fix="run ViPE again; its depth model failed",
        )
    return depth, valid


def read_vipe_masks(
    path: Path, phrases_path: Path, *, num_frames: int, height: int, width: int
) -> Bool[Tensor, "frame height width"]:
    """Read masks: True on what may move, which is every instance that ViPE tracked (people,
    animals, cars, ...) but the sky, as far as the file of phrases names it.

    Raises:
        InputError: the archive is damaged, a frame has no mask, one is unreadable or of another
            size, or a line of the file of phrases is no "NUMBER: PHRASE".
    """
    still = [number for number, phrase in read_phrases(phrases_path).items() if phrase == SKY]
    moving = torch.zeros(num_frames, height, width, dtype=torch.bool)
    with opened_archive(path) as archive:
        _check_entries(archive, path, num_frames, suffix="png", noun="mask")
        for index in range(num_frames):
            entry = ENTRY_NAME.format(index, "png")
            instances = read_png_entry(archive, path, entry, num_pixels=height * width)
            if instances.ndim != 2:
                raise InputError(
                    f"this mask has {instances.shape[2]} channels",
                    where=f"{path}: {entry}",
                    fix="give the archive as ViPE wrote it: a grey PNG of instance numbers a frame",
                )
            _check_size(instances, f"{path}: {entry}", height=height, width=width)
            moving[index] = torch.from_numpy((instances > 0) & ~np.isin(instances, still))
    return moving


def read_phrases(path: Path) -> dict[int, str]:
    """Read the phrase of each instance; none where there is no such file.

    Raises:
        InputError: a line is no "NUMBER: PHRASE".
    """
    if not path.exists():
        return {}
    with readable(path):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    phrases = {}
    for line in filter(str.strip, lines):
        number, colon, phrase = line.partition(":")
        if not colon or not is_number(number.strip()):
            raise InputError(
                f"a line is {line!r}", where=str(path), fix='give lines like "1: person"'
            )
        phrases[int(number)] = phrase.strip()
    return phrases


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive.

    Raises:
        InputError: it is missing, not permitted, cut or damaged.
    """
    with readable(path):
        path.open("rb").close()  # so that what follows can only be damage
        try:
            archive = zipfile.ZipFile(path)
        except ZIP_FAULTS as error:
            raise InputError(
                f"the archive is cut or damaged: {error}", where=str(path), fix="copy it again"
            ) from None
    with archive:
        yield archive


def read_exr_entry(
    archive: zipfile.ZipFile, path: Path, entry: str, *, num_pixels: int
) -> Float[np.ndarray, "height width"]:
    """Read the channel Z of an EXR picture, half or float.

    Raises:
        InputError: there is no such entry, it is damaged, or it is no such picture.
    """
    data = _unpacked(archive, path, entry, num_pixels)
    try:
        check_exr_size(OpenEXR.File(io.BytesIO(data), header_only=True), f"{path}: {entry}")
        picture = OpenEXR.File(io.BytesIO(data), separate_channels=True)
        channels = picture.channels()
    except (RuntimeError, ValueError, OSError, KeyError, TypeError) as error:
        raise InputError(
            f"this depth map cannot be read: {error}",
            where=f"{path}: {entry}",
            fix="run ViPE again, or copy its result again",
        ) from None
    if "Z" not in channels or channels["Z"].pixels.dtype.kind != "f":
        raise InputError(
            f"a depth map needs a channel Z of half or float; found {', '.join(sorted(channels))}",
            where=f"{path}: {entry}",
            fix="give the archive as ViPE wrote it",
        )
    # Halves have 11 significant bits: steps of 1/1024 at 1 m, 1/128 at 8 m, at most 65504 m. They
    # convert to float32 without loss.
    return np.array(channels["Z"].pixels, dtype=np.float32)


def read_png_entry(
    archive: zipfile.ZipFile, path: Path, entry: str, *, num_pixels: int
) -> Integer[np.ndarray, "height width *channel"]:
    """Read instance numbers of a PNG, with a last axis of channels where there are several.

    Raises:
        InputError: there is no such entry, or it is no such picture.
    """
    try:
        instances = decode_png(_unpacked(archive, path, entry, num_pixels), cv2.IMREAD_UNCHANGED)
    except ValueError:
        raise InputError(
            "this mask cannot be read",
            where=f"{path}: {entry}",
            fix="run ViPE again, or copy its result again",
        ) from None
    return instances


def _unpacked(archive: zipfile.ZipFile, path: Path, entry: str, num_pixels: int) -> bytes:
    try:
        size = archive.getinfo(entry).file_size
    except KeyError:
        raise InputError(
            f"there is no {entry}", where=str(path), fix="run ViPE again on the whole video"
        ) from None
    if size > num_pixels * MAX_BYTES_PER_PIXEL + MAX_HEADER_BYTES:
        raise InputError(
            f"{entry} unpacks to {size} bytes, too many for {num_pixels} pixels",
            where=str(path),
            fix="give the archive as ViPE wrote it, beside the video of the same run",
        )
    try:
        return archive.read(entry)
    except ZIP_FAULTS as error:
        raise InputError(
            f"{entry} cannot be unpacked: {error}", where=str(path), fix="copy the archive again"
        ) from None


def _check_entries(
    archive: zipfile.ZipFile, path: Path, num_frames: int, *, suffix: str, noun: str
) -> None:
    """Check that there is one picture a frame, and nothing besides."""
    names = archive.namelist()
    expected = [ENTRY_NAME.format(index, suffix) for index in range(num_frames)]
    missing = sorted(set(expected) - set(names))
    if missing:
        raise InputError(
            f"no {noun} of {len(missing)} of {num_frames} frames, first {missing[0]}",
            where=str(path),
            fix="run ViPE again on the whole video, or copy its result again",
        )
    surplus = [name for name in names if name not in expected] or (
        [name for name in names if names.count(name) > 1] if len(names) > num_frames else []
    )
    if surplus:
        is_frame = re.fullmatch(rf"\d{{5}}\.{suffix}", surplus[0])
        raise InputError(
            f"entry {surplus[0]!r} "
            + ("belongs to no frame of the video" if is_frame else "is nothing ViPE writes"),
            where=str(path),
            fix="give the video and the archive of one and the same run",
        )


def _check_size(values: np.ndarray, where: str, *, height: int, width: int) -> None:
    if values.shape != (height, width):
        raise InputError(
            f"it has {values.shape[1]}x{values.shape[0]} pixels, the video {width}x{height}",
            where=where,
            fix="give the video and the archive of one and the same run",
        )
