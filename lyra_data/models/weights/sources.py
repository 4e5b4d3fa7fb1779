"""Files of a release: which of a folder are the network, and which the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.engine.errors import InputError
from lyra_data.models.weights.checkpoint_files import read_state_dict

NETWORK_FILES = (("model.pt",), ("model.safetensors",))
TOKENIZER_FILES = (
    ("encoder.jit", "decoder.jit"),
    ("autoencoder.jit",),
    ("model.pt",),
    ("model.safetensors",),
)
"""Files that a release may hold, best first; files in one row belong together."""


def find_files(path: Path, choices: tuple[tuple[str, ...], ...], *, option: str) -> list[Path]:
    """Return `path` itself where it is a file, else the first row of `choices` that the folder
    holds.

    Raises:
        InputError: nothing of the kind is there.
    """
    if path.is_file():
        return [path]
    for row in choices:
        if all((path / name).is_file() for name in row):
            return [path / name for name in row]
    known = ", or ".join(" and ".join(row) for row in choices)
    what = f"holds no {known}" if path.is_dir() else "there is no such file or folder"
    raise InputError(
        what,
        where=str(path),
        fix=f"give the released file or its folder with {option}; "
        "`lyra-data weights pull` fetches releases",
    )


def read_together(files: list[Path]) -> dict[str, Any]:
    """Return the entries of all files.

    Raises:
        InputError: a file is unreadable, or two of them hold different entries of one name.
    """
    entries: dict[str, Any] = {}
    for file in files:
        read = read_state_dict(file)
        _refuse_disagreement(entries, read, file)
        entries |= read
    return entries


def _refuse_disagreement(known: Mapping[str, Any], read: Mapping[str, Any], file: Path) -> None:
    for name in known.keys() & read.keys():
        if not _same(known[name], read[name]):
            raise InputError(
                f"{name} is another one here than in the file beside it",
                where=str(file),
                fix="use an encoder and a decoder of one release",
            )


def _same(one: Any, other: Any) -> bool:
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return type(one) is type(other)  # what is no tensor is not used
