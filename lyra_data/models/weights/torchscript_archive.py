"""Read the tensors of a TorchScript archive without running any of its code.

Such an archive (`encoder.jit`) is a zip file: `data.pkl` describes the tree of modules, `data/N`
hold the tensors' bytes, and `code/` holds a program, which is not looked at here. `torch.jit.load`
would compile that program and could be made to run it. This reader unpickles `data.pkl` with a
table of the few names that tensors need; every class of the program becomes an empty shell that
only holds attributes, and any other name is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file
from lyra_data.engine.pickles import refuse_endless_pickle

KIND = "TorchScript archive"
FETCH_AGAIN = "fetch the file again, or give another: it is cut, altered, or no checkpoint"
SOME_OF_ITS_FILES = ("constants.pkl", "data.pkl")
MAX_ATTRIBUTES = 100_000
"""Attributes of all modules together; thirty times what the tokenizer has. Modules within modules
can share their parts, so a small file may describe a tree without end."""

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_torchscript_archive(path: Path) -> bool:
    """Return whether `path` is a zip file with the parts of a TorchScript archive.

    Raises:
        InputError: it is a zip file whose directory cannot be read.
    """
    require_regular_file(path)
    with file_at_fault(path, kind=KIND, fix=FETCH_AGAIN):
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    return names.issuperset(SOME_OF_ITS_FILES)


def read_torchscript_tensors(path: Path) -> dict[str, Tensor]:
    """Read every tensor of the module tree by its dotted name, as in the module's state dict.

    Raises:
        InputError: the archive is cut or altered, or its description names something that is
            neither a tensor nor a module; the name is told.
    """
    with file_at_fault(path, kind=KIND, fix=FETCH_AGAIN), zipfile.ZipFile(path) as archive:
        return dict(_tensors_of(_Reader(path, archive).load()))


class _Shell:
    """Stands for an object of any class of the archive's program: attributes, no behaviour."""


class _Held:
    """Keeps a tensor out of the archive's reach: a tensor's own `__setstate__` is not for it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __setstate__(self, state: Any) -> None:
        raise ValueError("it sets the state of a tensor, which no archive does")


class _Reader(pickle.Unpickler):
    """Unpickles `data.pkl` with nothing but the names in `_allowed`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._root = archive.namelist()[0].partition("/")[0]
        self._storages: dict[str, _Held] = {}
        if f"{self._root}/byteorder" in archive.namelist() and self._file("byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        data = self._file("data.pkl")
        refuse_endless_pickle(data)
        super().__init__(io.BytesIO(data))

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name == "__torch__" or module_name.startswith("__torch__."):
            # A class of its own for each mention: what is done to one reaches no other archive.
            return type("Shell", (_Shell,), {})
        if module_name == "torch" and global_name in DTYPES:
            return DTYPES[global_name]
        allowed = _allowed().get((module_name, global_name))
        if allowed is None:
            raise InputError(
                f"asks for {module_name}.{global_name}, which is not part of a tensor or a module",
                where=str(self._path),
                fix="do not use this file: weights have no need of code; fetch it from its source",
            )
        return allowed

    def persistent_load(self, pid: Any, /) -> _Held:
        """Return the bytes of one storage, as a flat tensor of its type; the zip's checksum
        holds."""
        tag, dtype, key, _device, _count = pid
        if tag != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise ValueError("unknown kind of storage")
        if key not in self._storages:
            data = bytearray(self._file(f"data/{key}"))
            self._storages[key] = _Held(
                torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            )
        return self._storages[key]

    def _file(self, name: str) -> bytes:
        """Read bytes as they lie in the file, so that they are no more than it holds."""
        entry = self._archive.getinfo(f"{self._root}/{name}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, which torch never does")
        return self._archive.read(entry)


def _allowed() -> dict[tuple[str, str], Callable[..., Any]]:
    """Return fresh functions for every name that may stand in `data.pkl`."""
    return {
        ("torch._utils", "_rebuild_tensor_v2"): lambda *parts: _tensor(*parts[:4]),
        ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        ("collections", "OrderedDict"): lambda *parts: OrderedDict(*parts),
        ("torch.jit._pickle", "build_intlist"): lambda values: values,
        ("torch.jit._pickle", "build_doublelist"): lambda values: values,
        ("torch.jit._pickle", "build_boollist"): lambda values: values,
        ("torch.jit._pickle", "build_tensorlist"): lambda values: values,
        ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
        ("torch", "device"): lambda *_: None,
    }


def _tensor(storage: _Held, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> _Held:
    """Return a view of the storage; torch refuses one that reaches beyond it."""
    flat = storage.tensor
    if math.prod(size) > flat.numel():
        raise ValueError(f"a tensor has more numbers than the {flat.numel()} of its storage")
    return _Held(torch.as_strided(flat, size, stride, offset))


def _tensors_of(root: Any) -> Iterator[tuple[str, Tensor]]:
    """Collect tensor attributes of a module and of the modules below it, by dotted name."""
    count = 0

    def walk(module: Any, prefix: str, above: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
        nonlocal count
        if id(module) in above:
            raise ValueError(f"module {prefix!r} contains itself")
        for name, value in vars(module).items():
            count += 1
            if count > MAX_ATTRIBUTES:
                raise ValueError(f"its modules have more than {MAX_ATTRIBUTES:,} attributes")
            if isinstance(value, _Held):
                yield prefix + name, value.tensor
            elif isinstance(value, _Shell):
                yield from walk(value, f"{prefix}{name}.", (*above, id(module)))

    yield from walk(root, "", ())
