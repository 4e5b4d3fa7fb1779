"""Read and write depth as Lyra's archives hold it, to the bit, with their ways to say "unknown".

A dataset keeps 0 where depth is unknown. An archive may say so by 0, infinity, NaN or negative
numbers: which of them stood where is remembered as text, so that the same archive can be written.
"""

from __future__ import annotations

import base64
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import OpenEXR
from jaxtyping import Bool, UInt16

from lyra_data.clips.formats.vipe_maps import ENTRY_NAME, ZIP_FAULTS, opened_archive
from lyra_data.engine.errors import InputError
from lyra_data.media.depth_files import check_exr_size

_MAX_PATTERNS = 255
_MAX_HEADER_BYTES = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)
_AGAIN = "give the archive as Lyra's data has it: 00000.exr, ... with a channel Z of half floats"


def read_halves(
    path: Path, num_frames: int, height: int, width: int
) -> Iterator[UInt16[np.ndarray, "height width"]]:
    """Yield the bits of every frame's map, one at a time.

    Raises:
        InputError: the archive is damaged, lacks a frame, or holds something else.
    """
    with opened_archive(path) as archive:
        for frame in range(num_frames):
            entry = ENTRY_NAME.format(frame, "exr")
            where = f"{path}: {entry}"
            try:
                if archive.getinfo(entry).file_size > 16 * height * width + _MAX_HEADER_BYTES:
                    raise ValueError(f"it unpacks to too much for {width}x{height} pixels")
                data = archive.read(entry)
                check_exr_size(OpenEXR.File(io.BytesIO(data), header_only=True), where)
                picture = OpenEXR.File(io.BytesIO(data), separate_channels=True)
                values = picture.channels()["Z"].pixels
            except KeyError as error:
                raise InputError(f"there is no {error}", where=where, fix=_AGAIN) from None
            except ZIP_FAULTS as error:
                raise InputError(
                    f"this depth map cannot be read: {error}", where=where, fix=_AGAIN
                ) from None
            if values.dtype != np.float16 or values.shape != (height, width):
                raise InputError(
                    f"a depth map is {values.dtype} of {values.shape[1]}x{values.shape[0]} "
                    f"pixels; half floats of {width}x{height} are expected",
                    where=where,
                    fix=_AGAIN,
                )
            yield np.ascontiguousarray(values).view(np.uint16)


def known_of(bits: UInt16[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Return where the depth is a positive, finite number: bits from 1 to those below infinity."""
    return (bits > 0) & (bits < 0x7C00)


class UnknownBits:
    """Which half float stands where depth is unknown; frames are given in the file's order."""

    def __init__(self) -> None:
        self._patterns: dict[int, int] = {}
        self._compressor = zlib.compressobj(9)
        self._packed: list[bytes] = []

    def add(self, bits: UInt16[np.ndarray, "height width"], where: str) -> None:
        """Take note of a frame.

        Raises:
            InputError: there are too many different ones to be ways of saying "unknown".
        """
        unknown = bits[~known_of(bits)]
        kinds, kind_of_pixel = np.unique(unknown, return_inverse=True)
        for kind in kinds.tolist():
            self._patterns.setdefault(kind, len(self._patterns))
        if len(self._patterns) > _MAX_PATTERNS:
            raise InputError(
                f"depth has over {_MAX_PATTERNS} different values that are no distances "
                "(negative or NaN)",
                where=where,
                fix="give depth along z, and 0 or infinity where it is unknown",
            )
        numbers = np.array([self._patterns[kind] for kind in kinds.tolist()], np.uint8)
        self._packed.append(self._compressor.compress(numbers[kind_of_pixel.ravel()].tobytes()))

    def text(self) -> str:
        """Return what was noted: "0000", or several patterns and, packed, which stands where."""
        names = ",".join(f"{pattern:04x}" for pattern in self._patterns)
        if len(self._patterns) < 2:
            return names
        packed = b"".join([*self._packed, self._compressor.flush()])
        return f"{names};{base64.b64encode(packed).decode()}"


class UnknownFiller:
    """Puts back what `UnknownBits` noted; frames in the file's order. Empty text: zeros.

    Raises:
        ValueError (also from `fill`), zlib.error: the text is nothing that `UnknownBits` made.
    """

    def __init__(self, text: str) -> None:
        names, _, packed = text.partition(";")
        if not re.fullmatch(r"([0-9a-f]{4}(,[0-9a-f]{4})*)?", names):
            raise ValueError(f"no patterns of half floats: {names[:40]!r}")
        self._patterns = np.array([int(name, 16) for name in names.split(",") if name], np.uint16)
        self._packed = base64.b64decode(packed, validate=True)
        self._decompressor = zlib.decompressobj()

    def fill(self, bits: UInt16[np.ndarray, "height width"]) -> UInt16[np.ndarray, "height width"]:
        """Return the map with its unknown pixels as they were."""
        unknown = ~known_of(bits)
        count = int(unknown.sum())
        filled = bits.copy()
        if len(self._patterns) == 1:
            filled[unknown] = self._patterns[0]
        elif len(self._patterns):
            filled[unknown] = self._patterns[self._numbers(count)]
        return filled

    def _numbers(self, count: int) -> np.ndarray:
        """Return the next numbers of patterns; no more are unpacked than pixels ask for."""
        pieces = b""
        while len(pieces) < count:
            piece = self._decompressor.decompress(self._packed, count - len(pieces))
            self._packed = self._decompressor.unconsumed_tail
            if not piece:
                raise ValueError(f"{count} pixels are unknown, and less is noted of them")
            pieces += piece
        numbers = np.frombuffer(pieces, np.uint8)
        if count and int(numbers.max()) >= len(self._patterns):
            raise ValueError("a pixel has a pattern that is none of those noted")
        return numbers


def write_halves(maps: Iterable[UInt16[np.ndarray, "height width"]], path: Path) -> None:
    """Write an archive; the same maps give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for frame, bits in enumerate(maps):
            buffer = io.BytesIO()
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            OpenEXR.File(header, {"Z": bits.view(np.float16)}).write(buffer)
            entry = zipfile.ZipInfo(ENTRY_NAME.format(frame, "exr"), _DATE)
            archive.writestr(entry, buffer.getvalue())
