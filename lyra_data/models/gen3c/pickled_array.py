"""A NumPy array pickled inside torch's zip container, read without NumPy's own unpickling.

Such a file could hold any code, and even NumPy's part of it is not safe: `__setstate__` believes
flags and lengths, with which a made-up file crashes the process. So nothing of NumPy runs here:
what the file says of its array is recorded, held against the one plain case, then given its bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lyra_data.engine.pickles import refuse_endless_pickle

DTYPES = {code: np.dtype(f"<{code}") for code in ("f2", "f4", "f8")}
PLAIN = (3, "<", None, None, None, -1, -1, 0)
"""The state of a little-endian dtype of plain numbers: no fields, no objects, no flags."""


def read_pickled_array(path: Path) -> np.ndarray:
    """The array of floats in `path`, as it was saved; read-only.

    Raises:
        Exception: of any kind, where the file holds anything else, is cut or altered.
    """
    with zipfile.ZipFile(path) as archive:
        (entry,) = [
            entry for entry in archive.infolist() if entry.filename.partition("/")[2] == "data.pkl"
        ]
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError("it is compressed, which torch's files never are")
        data = archive.read(entry)
    refuse_endless_pickle(data)
    made = _Reader(io.BytesIO(data)).load()
    if not isinstance(made, _Array):
        raise ValueError(f"it holds {type(made).__name__}, not an array")
    return made.array()


class _Dtype:
    """Records what the file says of a dtype."""

    def __init__(self, code: Any) -> None:
        self.code = code
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def dtype(self) -> np.dtype:
        if not isinstance(self.code, str) or self.code not in DTYPES or self.state != PLAIN:
            raise ValueError("its numbers are not little-endian floats of 16, 32 or 64 bits")
        return DTYPES[self.code]


class _Array:
    """Records what the file says of an array."""

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        _version, shape, dtype, by_columns, raw = self.state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise ValueError("its array has no bytes, or no dtype")
        kind = dtype.dtype()
        if not isinstance(shape, tuple) or not all(type(length) is int for length in shape):
            raise ValueError("its array has no shape")
        if min(shape, default=0) < 0 or len(raw) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"its array has {len(raw)} bytes, which do not fill its shape")
        return np.frombuffer(raw, dtype=kind).reshape(shape, order="F" if by_columns else "C")


class _Reader(pickle.Unpickler):
    """Unpickles with nothing but the names in `_allowed`."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        allowed = _allowed().get((module_name, global_name))
        if allowed is None:
            raise ValueError(f"it asks for {module_name}.{global_name}, which no array needs")
        return allowed


def _allowed() -> dict[tuple[str, str], Callable[..., Any]]:
    """Fresh functions for every name that may stand in a file: what is done to one ends with it."""
    return {
        ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy", "ndarray"): lambda *_: None,
        ("numpy", "dtype"): lambda code, *_: _Dtype(code),
        ("_codecs", "encode"): lambda text, encoding: _latin1(text, encoding),
    }


def _latin1(text: str, encoding: str) -> bytes:
    """Return the bytes that pickle's second protocol writes as latin1 text."""
    if encoding != "latin1":
        raise ValueError("its bytes are written in an unknown way")
    return text.encode("latin1")
