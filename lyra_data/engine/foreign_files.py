"""The door to files that others wrote: whatever a reader meets inside, the file is at fault.

A reader opens a foreign file inside `file_at_fault`. It states what it expects and lets anything
else raise; the door turns that into one message that names the file and the fix. So a reader needs
no list of everything that a damaged or a made-up file can make Python raise.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_data.engine.errors import InputError, LyraError

FROM_WRONG_NUMBERS = (errno.EINVAL, errno.EOVERFLOW, errno.ENAMETOOLONG)
"""A file that states a place or a name beyond any makes the file system say these."""


@contextmanager
def file_at_fault(
    path: Path | str, *, kind: str, fix: str, error: type[LyraError] = InputError
) -> Iterator[None]:
    """Turn every error of the block into `error`: "not a readable `kind`", and why.

    Errors that already tell the user what to do pass, as do want of memory and interruption. What
    the file system refuses (OSError with a number) passes too: the file was not read at all.

    Args:
        kind: the kind of file that is expected, e.g. "clip index".
        fix: what the user can do about it.

    Raises:
        InputError (or `error`): the block raised anything else.
    """
    try:
        yield
    except (LyraError, MemoryError):
        raise
    except Exception as raised:
        if isinstance(raised, OSError) and raised.errno not in (None, *FROM_WRONG_NUMBERS):
            raise
        raise error(
            f"not a readable {kind}: {first_line(raised)}", where=str(path), fix=fix
        ) from raised


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, at any depth; none where there is no such folder.

    Linked folders are not entered, linked files count.

    `Path.rglob` and `os.walk` leave out what may not be read, as if it were not there.

    Raises:
        OSError: the folder, or one below it, may not be read.
    """
    if not folder.is_dir():
        return []
    return [
        path
        for directory, _, names in os.walk(folder, onerror=raise_error)
        for name in names
        if (path := Path(directory) / name).is_file()
    ]


def raise_error(error: OSError) -> None:
    """Raise what `os.walk` would leave out, given as its `onerror`."""
    raise error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none; at most 200."""
    if isinstance(error, RecursionError):
        return "its parts are nested too deeply"
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def require_regular_file(path: Path, error: type[LyraError] = InputError) -> None:
    """Refuse what is no regular file: a named pipe would let the reader wait for ever.

    A missing file passes, for the reader that opens it to report, and so does a folder.

    Raises:
        InputError (or `error`): a pipe, a socket or a device stands at `path`.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(
            "this is no regular file, but a pipe, a socket or a device",
            where=str(path),
            fix="save the content to a file, and give that",
        )
