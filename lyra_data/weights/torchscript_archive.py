"""Read the tensors of a TorchScript archive without running any of its code.

Such an archive (`encoder.jit`) is a zip file: `data.pkl` describes the tree of modules, `data/N`
hold the tensors' bytes, and `code/` holds a program, which is not looked at here. `torch.jit.load`
would compile that program and could be made to run it. This reader unpickles `data.pkl` with a
table of the few names that tensors need; every class of the program becomes an empty shell that
only holds attributes, and any other name is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.errors import InputError

SOME_OF_ITS_FILES = ("constants.pkl", "data.pkl")

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
    """Whether `path` is a zip file with the parts of a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    return names.issuperset(SOME_OF_ITS_FILES)


def read_torchscript_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of the module tree by its dotted name, as in the module's state dict.

    Raises:
        InputError: the archive is cut or altered, or its description names something that is
            neither a tensor nor a module; the name is told.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return dict(_tensors_of(_Reader(path, archive).load(), prefix="", above=()))
    except (InputError, MemoryError):
        raise
    # Whatever a made-up description can make the machine stumble over, the file is at fault.
    except Exception as error:
        raise InputError(
            f"not a readable TorchScript archive: {error or type(error).__name__}",
            where=str(path),
            fix="fetch the file again; it is cut or was altered",
        ) from error


class _Shell:
    """Stands for an object of any class of the archive's program: attributes, no behaviour."""


class _Reader(pickle.Unpickler):
    """Unpickles `data.pkl` with nothing but the names in `_allowed`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._root = archive.namelist()[0].partition("/")[0]
        self._storages: dict[str, Tensor] = {}
        if f"{self._root}/byteorder" in archive.namelist() and self._file("byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        super().__init__(io.BytesIO(self._file("data.pkl")))

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

    def persistent_load(self, pid: Any, /) -> Tensor:
        """The bytes of one storage, as a flat tensor of its type; the zip's checksum holds."""
        tag, dtype, key, _device, _count = pid
        if tag != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"unknown kind of storage {tag!r}")
        if key not in self._storages:
            data = bytearray(self._file(f"data/{key}"))
            self._storages[key] = (
                torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            )
        return self._storages[key]

    def _file(self, name: str) -> bytes:
        return self._archive.read(f"{self._root}/{name}")


def _allowed() -> dict[tuple[str, str], Callable[..., Any]]:
    """Fresh functions for every name that may stand in `data.pkl`."""
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


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """A view of the storage; torch refuses one that reaches beyond it."""
    return torch.as_strided(storage, size, stride, offset)


def _tensors_of(
    module: Any, *, prefix: str, above: tuple[int, ...]
) -> Iterator[tuple[str, Tensor]]:
    """Tensor attributes of a module and of the modules below it."""
    if id(module) in above:
        raise ValueError(f"module {prefix!r} contains itself")
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Shell):
            yield from _tensors_of(value, prefix=f"{prefix}{name}.", above=(*above, id(module)))
