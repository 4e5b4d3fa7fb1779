"""Files of a dataset in a folder, by positioned reads."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import RESTORE, MissingFileError, Range, too_short
from lyra_data.engine.errors import CorruptDataError, StageOrderError
from lyra_data.engine.foreign_files import files_below

MAX_OPEN_FILES = 64
"""Files of a folder that stay open in one process; those not read for longest are closed."""


class LocalFiles:
    """Files of a folder; safe to read in threads, to fork and to pickle.

    A read names its offset in the file and moves no file position that another process could
    share. Files are not mapped: pages of a map stay in the process, though a blob is read once.
    """

    is_local = True

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
        pieces = []
        for part in ranges:
            data = self._opened(part.file).read(part.begin, part.end)
            if len(data) < part.end - part.begin:
                if self.size(part.file) == 0:
                    raise CorruptDataError(
                        "the file was cut or altered: it is empty",
                        where=self.address(part.file),
                        fix=RESTORE,
                    )
                raise too_short(self.address(part.file), part.begin + len(data), part)
            pieces.append(data)
        return pieces

    def read_whole(self, file: str) -> bytes:
        try:
            return (self.folder / file).read_bytes()
        except OSError as error:
            raise _unreadable(self.address(file), error) from None

    def prefetch(self, ranges: Sequence[Range]) -> None:
        for part in ranges:
            self._opened(part.file).will_need(part.begin, part.end)

    def forget(self, ranges: Sequence[Range]) -> bool:  # noqa: ARG002
        return False

    def open_for_arrow(self, file: str, size: int, ranges: Sequence[Range]) -> pa.NativeFile:  # noqa: ARG002
        """Map the file into memory: a scene may have gigabytes, and is let go piece by piece."""
        return pa.memory_map(self.address(file))

    def size(self, file: str) -> int:
        try:
            return (self.folder / file).stat().st_size
        except OSError as error:
            raise _unreadable(self.address(file), error) from None

    def list_files(self, folder: str) -> list[str]:
        return [
            path.relative_to(self.folder).as_posix()
            for path in sorted(files_below(self.folder / folder))
        ]

    def address(self, file: str) -> str:
        return str(self.folder / file)

    def _opened(self, file: str) -> _OpenFile:
        opened = self._open.pop(file, None)
        if opened is None:
            try:
                opened = _OpenFile(self.folder / file)
            except OSError as error:
                raise _unreadable(self.address(file), error) from None
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
        """Return the bytes from `begin` to before `end`, fewer where the file ends before."""
        data = os.pread(self._descriptor, end - begin, begin)
        if len(data) == end - begin:
            return data
        pieces = [data]  # a single call gives no more than 2 GiB
        while pieces[-1] and (begin := begin + len(pieces[-1])) < end:
            pieces.append(os.pread(self._descriptor, end - begin, begin))
        return b"".join(pieces)

    def will_need(self, begin: int, end: int) -> None:
        """Ask the operating system to read these bytes ahead into its page cache."""
        if hasattr(os, "posix_fadvise"):  # Linux
            os.posix_fadvise(self._descriptor, begin, end - begin, os.POSIX_FADV_WILLNEED)


def _unreadable(address: str, error: OSError) -> CorruptDataError:
    kind = MissingFileError if isinstance(error, FileNotFoundError) else CorruptDataError
    return kind(
        f"a file is missing or cannot be read ({error.strerror})",
        where=address,
        fix=f"{RESTORE}; or name the modalities that are there (modalities=...)",
    )
