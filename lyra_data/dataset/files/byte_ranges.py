"""Byte ranges of a dataset's files: by positioned reads from a folder, by requests from elsewhere.

Whatever fsspec knows can be read: http(s)://, s3://, hf://datasets/OWNER/NAME, memory://.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lyra_data.engine.errors import CorruptDataError, InputError, StageOrderError

MAX_OPEN_FILES = 64
"""Of a folder, in one process; those not read for longest are closed."""

RESTORE = "restore the file (`dvc checkout`), or run `lyra-data package` again"


@dataclass(frozen=True, order=True)
class Range:
    """Bytes of one file, `begin` to before `end`."""

    file: str
    begin: int
    end: int


class ByteRanges(Protocol):
    """Where a dataset's files are."""

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of every range.

        Raises:
            CorruptDataError: a file is missing or too short.
        """
        ...

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Begin to fetch what a later `read` will ask for, and return at once."""
        ...

    def size(self, file: str) -> int:
        """In bytes. Raises CorruptDataError where the file is missing."""
        ...

    def place(self, file: str) -> str:
        """What to call a file in a message."""
        ...


def open_ranges(uri: str | Path, revision: str | None, cache_dir: Path | None) -> ByteRanges:
    """The files below a folder or a URI.

    Raises:
        StageOrderError: there is no such folder.
        InputError: nothing can read such a URI, or a revision is given for what has none.
    """
    text = str(uri)
    if "://" not in text:
        if revision is not None:
            raise InputError(
                f"a folder has no revision {revision!r}", where=text, fix="leave revision out"
            )
        return LocalFiles(Path(text))
    from lyra_data.dataset.files.remote_files import RemoteFiles

    return RemoteFiles(text.rstrip("/"), revision, cache_dir)


class LocalFiles:
    """Files of a folder; safe to read in threads, to fork and to pickle.

    A read names its place in the file and moves nothing that another process could share. Files
    are not mapped: pages of a map stay in the process, though a blob is read once.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise StageOrderError(
                "there is no dataset here", where=str(folder), fix="run `lyra-data package`"
            )
        self.folder = folder
        self._open: OrderedDict[str, _OpenFile] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_open": OrderedDict()}

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        found = []
        for part in ranges:
            data = self._opened(part.file).read(part.begin, part.end)
            if len(data) < part.end - part.begin:
                if self.size(part.file) == 0:
                    raise CorruptDataError(
                        "the file was cut or altered: it is empty",
                        where=self.place(part.file),
                        fix=RESTORE,
                    )
                raise too_short(self.place(part.file), part.begin + len(data), part)
            found.append(data)
        return found

    def prefetch(self, ranges: Sequence[Range]) -> None:
        for part in ranges:
            self._opened(part.file).will_need(part.begin, part.end)

    def size(self, file: str) -> int:
        try:
            return (self.folder / file).stat().st_size
        except OSError as error:
            raise _missing(self.place(file), error) from None

    def place(self, file: str) -> str:
        return str(self.folder / file)

    def _opened(self, file: str) -> _OpenFile:
        opened = self._open.pop(file, None)
        if opened is None:
            try:
                opened = _OpenFile(self.folder / file)
            except OSError as error:
                raise _missing(self.place(file), error) from None
        self._open[file] = opened
        if len(self._open) > MAX_OPEN_FILES:
            self._open.popitem(last=False)
        return opened


class _OpenFile:
    """A file that is closed when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, begin: int, end: int) -> bytes:
        """Fewer bytes than asked for where the file ends before."""
        data = os.pread(self._descriptor, end - begin, begin)
        if len(data) == end - begin:
            return data
        pieces = [data]  # a single call gives no more than 2 GiB
        while pieces[-1] and (begin := begin + len(pieces[-1])) < end:
            pieces.append(os.pread(self._descriptor, end - begin, begin))
        return b"".join(pieces)

    def will_need(self, begin: int, end: int) -> None:
        if hasattr(os, "posix_fadvise"):  # Linux
            os.posix_fadvise(self._descriptor, begin, end - begin, os.POSIX_FADV_WILLNEED)


def _missing(place: str, error: OSError) -> CorruptDataError:
    return CorruptDataError(
        f"a file is missing or cannot be read ({error.strerror})",
        where=place,
        fix=f"{RESTORE}; or name the modalities that are there (modalities=...)",
    )


def too_short(place: str, size: int, part: Range) -> CorruptDataError:
    return CorruptDataError(
        f"the file was cut or altered: bytes {part.begin} to {part.end} are wanted, "
        f"it ends at {size}",
        where=place,
        fix=RESTORE,
    )
