"""Depth maps on disk: 16-bit PNG in millimetres, float EXR and .npy in metres.

What a pixel may hold, in every format: a positive depth along z, or 0 for "unknown". In the float
formats +inf means unknown as well. NaN and negative values are refused, never taken for unknown:
they are as often the trace of a broken conversion as of a missing measurement.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenEXR
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import first_line
from lyra_data.media.images import check_num_pixels, opened_image, readable

DEPTH_SUFFIXES = (".png", ".exr", ".npy")
MILLIMETRES_PER_METRE = 1000.0


class DepthMap(NamedTuple):
    """z depth, exactly 0 where it is unknown."""

    depth: Float[Tensor, "height width"]
    valid: Bool[Tensor, "height width"]


def read_depth(path: Path) -> DepthMap:
    """Read a depth map: metres, or the file's own unit where its scale is arbitrary.

    Raises:
        InputError: the file is missing, cut, of another kind, holds NaN or negative values, or
            knows no depth at all.
    """
    readers = {".png": _read_png, ".exr": _read_exr, ".npy": _read_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"depth in a file of kind {path.suffix!r}",
            where=str(path),
            fix="use a 16-bit PNG in millimetres, or a float EXR or .npy in metres",
        )
    with readable(path):
        return _checked(reader(path), path)


def _read_png(path: Path) -> np.ndarray:
    with opened_image(path, formats=("PNG",)) as image:
        if image.mode not in ("I;16", "I;16B"):
            raise InputError(
                f"depth needs a grey PNG of 16 bits a pixel, this one holds {image.mode!r}",
                where=str(path),
                fix="save depth as uint16 millimetres, e.g. "
                "cv2.imwrite('depth.png', (metres * 1000).astype(np.uint16))",
            )
        # 16 bits reach to 65.535 m; float32 holds every one of the 65536 values exactly until the
        # division rounds it.
        return np.asarray(image, dtype=np.float32) / np.float32(MILLIMETRES_PER_METRE)


def _read_npy(path: Path) -> np.ndarray:
    try:
        # Mapping compares the file's length with its header before anything is allocated.
        values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # its header is read as a Python literal: any text may stand there
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"the file is cut or no .npy array: {first_line(error)}",
            where=str(path),
            fix="save it again with np.save, as a float32 array",
        ) from None
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.ndim != 2:
        kind = (
            f"{values.dtype} of shape {values.shape}"
            if isinstance(values, np.ndarray)
            else "an archive"
        )
        raise InputError(
            f"depth needs a float array [height, width], found {kind}",
            where=str(path),
            fix="save it as float32 metres with two axes: np.save('depth.npy', metres)",
        )
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float32)


def _read_exr(path: Path) -> np.ndarray:
    with path.open("rb"):  # OpenEXR's own message does not tell a missing file from a broken one
        pass
    try:
        check_exr_size(OpenEXR.File(str(path), header_only=True), path)
        channels = OpenEXR.File(str(path), separate_channels=True).channels()
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"the file is cut, damaged or no EXR: {error}", where=str(path), fix="export it again"
        ) from None
    names = sorted(channels)
    if "Z" not in names and len(names) != 1:
        raise InputError(
            f"which channel is depth? found {', '.join(names)}",
            where=str(path),
            fix="name the depth channel Z, or store it alone",
        )
    values = channels["Z" if "Z" in names else names[0]].pixels
    if values.dtype.kind != "f":
        raise InputError(
            f"depth needs half or float pixels, found {values.dtype}",
            where=str(path),
            fix="export depth as 32-bit float metres",
        )
    return np.array(values, dtype=np.float32)


def check_exr_size(picture: Any, path: Path | str) -> None:
    """Refuse an EXR picture by its header, before room is made for its channels.

    Raises:
        InputError: all channels together have more than MAX_PIXELS.
        KeyError, ValueError: the header states no size.
    """
    header = picture.header()
    (left, top), (right, bottom) = header["dataWindow"]
    width, height = int(right) - int(left) + 1, int(bottom) - int(top) + 1
    if width < 1 or height < 1:
        raise ValueError(f"its header states {width}x{height} pixels")
    check_num_pixels(width * max(1, len(header["channels"])), height, path)


def _checked(values: np.ndarray, path: Path) -> DepthMap:
    _refuse(np.isnan(values), values, "NaN", path)
    _refuse(values < 0, values, "negative depth", path)
    depth = np.where(np.isposinf(values), np.float32(0), values)
    valid = depth > 0
    if not valid.any():
        raise InputError(
            f"none of the {valid.size} pixels has a known depth",
            where=str(path),
            fix="give positive depth for the pixels that are known; 0 means unknown",
        )
    return DepthMap(torch.from_numpy(depth), torch.from_numpy(valid))


def _refuse(bad: np.ndarray, values: np.ndarray, noun: str, path: Path) -> None:
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{noun} in {int(bad.sum())} of {bad.size} pixels, first at column {column}, "
            f"row {row} ({values[row, column]})",
            where=str(path),
            fix="write 0 where depth is unknown; depth is the distance along z, never negative",
        )
