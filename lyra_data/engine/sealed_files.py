"""Sealed files: bytes behind their own sha256, so that damage is told from content.

The hash is no proof of who wrote the file: whoever made it made the hash too.
"""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import require_regular_file
from lyra_data.engine.hashing import sha256_of_bytes

HASH_LENGTH = 64
"""Characters of a sha256 in hexadecimal."""


def write_sealed(path: Path, content: bytes) -> None:
    """Write the hash of the content, and the content; the file appears whole or not at all.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    with write_atomically(path) as temporary:
        temporary.write_bytes(sha256_of_bytes(content).encode() + content)


def read_sealed(path: Path, *, kind: str, fix: str) -> bytes:
    """Return the content of a file that `write_sealed` wrote.

    Args:
        kind: what the file is, for the message.
        fix: what mends it.

    Raises:
        CorruptDataError: the file is cut or altered, or no regular file.
        OSError: there is none, or it may not be read.
    """
    require_regular_file(path, CorruptDataError)
    data = path.read_bytes()
    stated, content = data[:HASH_LENGTH], data[HASH_LENGTH:]
    if sha256_of_bytes(content).encode() != stated:
        raise CorruptDataError(
            f"the {kind} has {len(data)} bytes that are not those it was written with: it was cut "
            "or altered",
            where=str(path),
            fix=fix,
        )
    return content
