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
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file
from lyra_data.engine.pickles import refuse_endless_checkpoint
from lyra_data.models.weights.manifest import FileRecord, record_of
from lyra_data.models.weights.torchscript_archive import (
    FETCH_AGAIN,
    is_torchscript_archive,
    read_torchscript_tensors,
)

WRAPPERS = ("model", "module", "state_dict")
"""Keys under which a checkpoint may keep its state dict."""

KIND = "checkpoint"


def read_state_dict(path: Path) -> dict[str, Any]:
    """Read the entries of a checkpoint by name, out of its wrapper where it has one.

    Most entries are tensors; some checkpoints keep states of kernels as bytes beside them.

    Raises:
        InputError: there is no such file, it is cut, it holds code, or it is no state dict.
    """
    if not path.is_file():
        raise InputError("there is no such file", where=str(path), fix="give the checkpoint's path")
    require_regular_file(path)
    with file_at_fault(path, kind=KIND, fix=FETCH_AGAIN):
        _refuse_altered(path)
        if path.suffix == ".safetensors":
            return dict(load_file(path))
    if is_torchscript_archive(path):
        return dict(read_torchscript_tensors(path))
    loaded = _load_tensors(path)
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
    require_regular_file(path)
    with file_at_fault(path, kind=KIND, fix=FETCH_AGAIN):
        _refuse_altered(path)
    return _load_tensors(path)


def _load_tensors(path: Path) -> Any:
    with file_at_fault(path, kind=KIND, fix=FETCH_AGAIN):
        refuse_endless_checkpoint(path)
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
        return InputError(f"not a readable {KIND}", where=str(path), fix=FETCH_AGAIN)
    return InputError(
        f"asks for code, {request[1]}, which weights have no need of; nothing was run",
        where=str(path),
        fix="do not use this file; fetch it from its source",
    )


def _refuse_altered(path: Path) -> None:
    """Refuse a file that is cut, or whose bytes are not those that its maker wrote.

    Memory mapping checks no bytes: a flipped bit would become another weight without a word. The
    pull's weights.json tells the hash of the whole file; without one, a zip container has a
    checksum of every part.

    Raises:
        InputError: it is cut or altered.
        CorruptDataError: weights.json beside it cannot be read.
    """
    _refuse_cut(path)
    record = record_of(path)
    if record is not None:
        if record != FileRecord.of(path):
            raise InputError(
                f"is not the file that was pulled: its sha256 is not {record.sha256}",
                where=str(path),
                fix="pull these weights again",
            )
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            altered = archive.testzip()
        if altered is not None:
            raise InputError(
                f"is altered: the checksum of its part {altered} is another",
                where=str(path),
                fix=FETCH_AGAIN,
            )


def _refuse_cut(path: Path) -> None:
    """Refuse a file that is cut: a zip ends with its directory, so without one it is not whole."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise InputError("is empty", where=str(path), fix=FETCH_AGAIN)
    if start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        raise InputError(
            f"is cut: it ends after {path.stat().st_size} bytes without the directory that the "
            "end of a checkpoint holds",
            where=str(path),
            fix=FETCH_AGAIN,
        )
