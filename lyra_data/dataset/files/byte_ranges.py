"""The promise of whatever holds a dataset's files: byte ranges of them, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa

from lyra_data.engine.errors import CorruptDataError

Checked = TypeVar("Checked")

RESTORE = "restore the file (`dvc checkout`), or run `lyra-data package` again"

PIECE_BYTES = 16 * 2**20
"""Bytes of a file that are in memory while it is hashed."""


@dataclass(frozen=True, order=True)
class Range:
    """Bytes of one file, `begin` to before `end`."""

    file: str
    begin: int
    end: int


class MissingFileError(CorruptDataError):
    """The dataset has no file of that name."""


class ByteRanges(Protocol):
    """The files of a dataset, named relative to it with "/" between parts.

    Every method raises CorruptDataError where a file is missing or too short.
    """

    @property
    def is_local(self) -> bool:
        """True where a read costs no request: then sizes and footers are checked at opening, and
        every part of every file when a dataset is checked."""
        ...

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """Return the bytes of every range."""
        ...

    def read_whole(self, file: str) -> bytes:
        """Return a small file whose size is not known.

        Raises:
            MissingFileError: there is no such file.
        """
        ...

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Begin to fetch what a later `read` will ask for, and return at once."""
        ...

    def forget(self, ranges: Sequence[Range]) -> bool:
        """Let go of what a cache keeps of these ranges; return whether any of it was there."""
        ...

    def open_for_arrow(self, file: str, size: int, ranges: Sequence[Range]) -> pa.NativeFile:
        """Open a file of `size` bytes of which Arrow is going to read `ranges` and nothing else."""
        ...

    def size(self, file: str) -> int:
        """Return the size of a file in bytes."""
        ...

    def list_files(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; none if they cannot be listed."""
        ...

    def address(self, file: str) -> str:
        """Return what a message calls a file: its path or its URI."""
        ...


def read_checked(
    files: ByteRanges, ranges: Sequence[Range], check: Callable[[Sequence[bytes]], Checked]
) -> Checked:
    """Read ranges, and return what `check` makes of their bytes.

    Where it finds them altered and a cache had kept them, they are read once again from where they
    come: a disk may have lost what it was given, or a server was wrong for a while.

    Raises:
        CorruptDataError: as `check`, of bytes that no cache had kept.
    """
    try:
        return check(files.read(ranges))
    except CorruptDataError:
        if not files.forget(ranges):
            raise
    return check(files.read(ranges))


def sha256_of(ranges: ByteRanges, file: str, size: int) -> str:
    """Return the sha256 of the first `size` bytes of a file, a piece in memory at a time.

    Raises:
        CorruptDataError: it is missing or shorter.
    """
    digest = hashlib.sha256()
    for begin in range(0, size, PIECE_BYTES):
        digest.update(ranges.read([Range(file, begin, min(begin + PIECE_BYTES, size))])[0])
    return digest.hexdigest()


def too_short(address: str, size: int, part: Range) -> CorruptDataError:
    """Return the error of a file of `size` bytes that ends before `part` does."""
    return CorruptDataError(
        f"the file was cut or altered: bytes {part.begin} to {part.end} are needed, "
        f"it ends at {size}",
        where=address,
        fix=RESTORE,
    )
