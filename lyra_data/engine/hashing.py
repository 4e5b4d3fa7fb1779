"""Hashes that name content: sha256 of bytes, files, folders and JSON values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lyra_data.engine.foreign_files import files_below


def sha256_of_bytes(data: bytes | memoryview) -> str:
    """Return the sha256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below `folder`, sorted by path relative to it ("/" between
    parts)."""
    folder = Path(folder)
    files = sorted((path.relative_to(folder).as_posix(), path) for path in files_below(folder))
    return {name: sha256_of_file(path) for name, path in files}


def sha256_of_folder(folder: Path) -> str:
    """Return one hash for the names and bytes of every file below `folder`."""
    return content_key(sha256_of_files(folder))


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, finite numbers; a tuple is a
    list.

    Raises:
        TypeError: a value that JSON has no word for, or a key that is not a string.
        ValueError: NaN or an infinity.
    """
    _refuse_foreign_keys(value)
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_key(value: Any) -> str:
    """Return the sha256 of `canonical_json(value)`: it names work by everything the work depends
    on."""
    return sha256_of_bytes(canonical_json(value).encode())


def _refuse_foreign_keys(value: Any) -> None:
    """Refuse keys that are no text: json.dumps would turn 1 and "1" into one key."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a JSON key must be a string, found {key!r}")
            _refuse_foreign_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_foreign_keys(item)
