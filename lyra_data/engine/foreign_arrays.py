"""Arrays of unknown origin (.npy, .npz): their headers are read first, and bound what is allocated.

NumPy makes room for the shape that a header states before it looks for the numbers, and unpacks
whatever an archive holds: a file of 6 MB can take 6 GB. Here the bytes that are there decide.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from lyra_data.engine.errors import InputError, LyraError
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_array(
    path: Path, *, fix: str, error: type[LyraError] = InputError, rows: slice | None = None
) -> np.ndarray:
    """Return the array of an .npy file, or some of its rows; others are not read.

    Args:
        rows: along the first axis; None: all of them.

    Raises:
        InputError (or `error`): it is no .npy file, holds objects, or has fewer bytes than its
            header states.
        OSError: there is no such file, or it may not be read.
    """
    require_regular_file(path, error)
    with file_at_fault(path, kind=".npy array", fix=fix, error=error), path.open("rb") as file:
        if rows is None:
            return _read(file, path.stat().st_size)
        _check_header(file, path.stat().st_size)
        return np.array(npy.open_memmap(path, mode="r")[rows])


def read_arrays(
    path: Path,
    names: Collection[str],
    *,
    most_bytes: int,
    fix: str,
    error: type[LyraError] = InputError,
) -> dict[str, np.ndarray]:
    """Return those arrays of an .npz archive whose names are asked for; others are not unpacked.

    Args:
        most_bytes: that these arrays may take together.

    Raises:
        InputError (or `error`): it is no .npz archive, or an array is cut, holds objects or is too
            large.
        OSError: there is no such file, or it may not be read.
    """
    require_regular_file(path, error)
    arrays: dict[str, np.ndarray] = {}
    with file_at_fault(path, kind=".npz archive", fix=fix, error=error):
        left = most_bytes
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if name not in names:
                    continue
                left -= entry.file_size
                if left < 0 or name in arrays:
                    raise ValueError(
                        f"{entry.filename} unpacks to {entry.file_size} bytes, of {most_bytes} "
                        "allowed, or is there twice"
                    )
                arrays[name] = _read(io.BytesIO(archive.read(entry)), entry.file_size)
    return arrays


def _read(file: IO[bytes], num_bytes: int) -> np.ndarray:
    _check_header(file, num_bytes)
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)


def _check_header(file: IO[bytes], num_bytes: int) -> None:
    """Refuse objects, and a shape that the bytes cannot fill."""
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"it has version {version} of the format; 1.0 and 2.0 are read")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("it holds objects, which only a pickle could restore")
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or needed > num_bytes - file.tell():
        raise ValueError(f"its shape {list(shape)} takes {needed} bytes, and there are fewer")
