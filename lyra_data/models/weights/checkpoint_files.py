"""Checkpoint files to named tensors, without running code from them.

`.pt` files are read with torch's `weights_only` and mapped into memory, so that a tensor costs
memory only while it is used. TorchScript archives have a reader of their own.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file

from lyra_data.engine.errors import InputError
from lyra_data.models.weights.file_faults import file_at_fault
from lyra_data.models.weights.torchscript_archive import (
    is_torchscript_archive,
    read_torchscript_tensors,
)

WRAPPERS = ("model", "module", "state_dict")
"""Keys under which a checkpoint may keep its state dict."""

KIND = "checkpoint"
CUT = "fetch the file again, or give another: it is cut, altered, or no checkpoint"


def read_state_dict(path: Path) -> dict[str, Any]:
    """Read the entries of a checkpoint by name, out of its wrapper where it has one.

    Most entries are tensors; some checkpoints keep states of kernels as bytes beside them.

    Raises:
        InputError: there is no such file, it is cut, it holds code, or it is no state dict.
    """
    if not path.is_file():
        raise InputError("there is no such file", where=str(path), fix="give the checkpoint's path")
    with file_at_fault(path, kind=KIND):
        _refuse_cut(path)
        if path.suffix == ".safetensors":
            return dict(load_file(path))
    if is_torchscript_archive(path):
        return dict(read_torchscript_tensors(path))
    loaded = load_safely(path)
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(key, str) for key in loaded):
        raise InputError(
            f"holds a {type(loaded).__name__} where a state dict (names to tensors) is needed",
            where=str(path),
            fix="give the file that holds the model's weights",
        )
    return dict(loaded)


def load_safely(path: Path) -> Any:
    """Load by torch.load without code, mapped into memory where the format allows it.

    Raises:
        InputError: the file is cut or no checkpoint, or asks for code; the code is named.
    """
    with file_at_fault(path, kind=KIND):
        _refuse_cut(path)
        try:
            # Accelerated layers' kernels leave their state as a buffer of bytes, which is harmless.
            with torch.serialization.safe_globals([io.BytesIO]):
                mapped = zipfile.is_zipfile(path)
                return torch.load(path, map_location="cpu", mmap=mapped, weights_only=True)
        except UnpicklingError as error:
            raise _refused(path, str(error)) from error


def _refused(path: Path, reason: str) -> InputError:
    """Make an error without torch's own words, which advise to load the file all the same."""
    request = re.search(r"(?:GLOBAL|Trying to \w+|function|class) ([\w.]+\.[\w.]+)", reason)
    if request is None:
        return InputError(f"not a readable {KIND}", where=str(path), fix=CUT)
    return InputError(
        f"asks for code, {request[1]}, which weights have no need of; nothing was run",
        where=str(path),
        fix="do not use this file; fetch it from its source",
    )


def _refuse_cut(path: Path) -> None:
    """Refuse a file that is cut: a zip ends with its directory, so without one it is not whole."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise InputError("is empty", where=str(path), fix=CUT)
    if start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        raise InputError(
            f"is cut: it ends after {path.stat().st_size} bytes without the directory that the "
            "end of a checkpoint holds",
            where=str(path),
            fix=CUT,
        )
