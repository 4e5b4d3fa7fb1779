"""Index a tar on the Hub: which files it holds and where their bytes lie, by reading headers alone.

A tar has no table: each header says how long its file is, and so where the next one stands. So the
walk is one request after another, unless files are small: then one request brings several headers,
and the reader learns how much to ask for. What was walked is kept on the disk under the tar's
sha256, a line a file; the next walk goes on from there.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from lyra_data.dataset.convert.tar_members import TarMember, members_in
from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.documents import parse_json
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.hashing import content_key
from lyra_data.engine.locks import held_lock
from lyra_data.hub.listing import RemoteFile
from lyra_data.hub.ranges import HubRanges

FORMAT = 1
LEAST_WINDOW = 16 * 1024
"""Bytes asked for at least: a header and, in a release of Lyra, the two files of cameras. A tar of
46 GB with 4,020 files takes 2,413 requests and 66 MB so; with 2 KiB, 4,021 and 12 MB."""
LARGEST_WINDOW = 2**20
NEAR = 64 * 1024
"""Bytes between two headers up to which they are worth one request."""
LINES_AT_ONCE = 64


def index_folder() -> Path:
    """Return where indexes are kept: lyra-data/tars in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "lyra-data" / "tars"


class TarIndex:
    """The files of one tar, listed once.

    Args:
        folder: where the index is kept.
    """

    def __init__(self, ranges: HubRanges, file: RemoteFile, folder: Path) -> None:
        self._ranges, self._file, self._folder = ranges, file, folder
        key = file.sha256 or content_key([ranges.repository, ranges.revision, file.name, file.size])
        self._path = folder / f"{key}.jsonl"

    def members(self) -> Generator[TarMember, None, None]:
        """Yield the files of the tar: those that are known, then those that a walk finds.

        The walk may be left at any moment; what it read is kept.

        Raises:
            InputError: it is no tar, is compressed or cut, or has a member that is refused.
            DownloadError: the Hub refuses or cannot be reached.
            StorageError: the index cannot be written.
            BusyError: another process walks this tar.
        """
        known, is_whole = self._known()
        yield from known
        if is_whole:
            return
        with held_lock(self._folder, f"tar-{self._path.stem[:16]}"):
            known_now, is_whole = self._known()  # another process may have gone on meanwhile
            yield from known_now[len(known) :]
            if not is_whole:
                yield from self._walk(known_now)

    def _walk(self, known: list[TarMember]) -> Iterator[TarMember]:
        where = f"{self._ranges.repository}: {self._file.name}"
        begin = known[-1].next_header if known else 0
        headers: Any = HeaderReader(self._ranges, self._file)
        fix = "take another tar, or another revision of the repository"
        with self._kept(known) as lines:
            with file_at_fault(where, kind="uncompressed tar", fix=fix):
                for member in members_in(headers, self._file.size, where, begin=begin):
                    lines.add([str(member.path), member.offset, member.size, member.next_header])
                    yield member
            lines.add({"end": True})

    def _known(self) -> tuple[list[TarMember], bool]:
        """Return the files that are in the index, and whether it is whole."""
        members: list[TarMember] = []
        if not self._path.is_file():
            return members, False
        first, *lines = self._path.read_bytes().splitlines() or [b""]
        if first != self._head():
            return members, False
        end = 0
        for line in lines:
            try:
                values = parse_json(line)
                if isinstance(values, dict) and set(values) == {"end"}:
                    return members, True
                member = _member(values, end, self._file.size)
            except ValueError:  # the line that a killed process was writing
                break
            members.append(member)
            end = member.next_header
        return members, False

    def _head(self) -> bytes:
        return json.dumps({"format": FORMAT, "size": self._file.size}).encode()

    @contextmanager
    def _kept(self, known: list[TarMember]) -> Iterator[_Lines]:
        """Yield what appends lines to the index, of which only `known` is kept."""
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = self._path.read_bytes().splitlines(True) if known else []
            whole = b"".join(lines[: len(known) + 1]) or self._head() + b"\n"
            with self._path.open("ab") as file:
                file.truncate(len(whole) if lines else 0)
                if not lines:
                    file.write(whole)
            opened = self._path.open("a", encoding="utf-8")
        lines = _Lines(opened, self._path)
        try:
            yield lines
        finally:
            lines.close()


class _Lines:
    """Appends lines to a file, some at a time."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path, self._lines = file, path, list[str]()

    def add(self, value: Any) -> None:
        self._lines.append(json.dumps(value) + "\n")
        if len(self._lines) >= LINES_AT_ONCE:
            self._write()

    def close(self) -> None:
        try:
            self._write()
        finally:
            self._file.close()

    def _write(self) -> None:
        with storage_errors(self._path):
            self._file.write("".join(self._lines))
            self._file.flush()
            self._lines.clear()


class HeaderReader(io.RawIOBase):
    """A remote file for whatever reads headers: some bytes, far apart or near.

    A request asks for a window: twice as much after a header that was near the one before, half as
    much after one that was far.
    """

    def __init__(self, ranges: HubRanges, file: RemoteFile) -> None:
        super().__init__()
        self._ranges, self._file = ranges, file
        self._position = self._begin = self._last_end = 0
        self._data = b""
        self._window = LEAST_WINDOW

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._file.size)
        if end <= self._position:
            return 0
        gap = self._position - self._last_end
        if self._position < self._begin or end > self._begin + len(self._data):
            self._fetch(end)
        start = self._position - self._begin
        view[: end - self._position] = self._data[start : start + end - self._position]
        num_read, self._position = end - self._position, end
        self._learn(gap)
        self._last_end = end
        return num_read

    def _learn(self, gap: int) -> None:
        """Ask for more next time where headers are near one another, for less where not."""
        if gap > NEAR:
            self._window = max(self._window // 2, LEAST_WINDOW)
        elif gap > 0:
            self._window = min(2 * self._window, LARGEST_WINDOW)

    def _fetch(self, end: int) -> None:
        """Fetch a window from the position on, at least to `end`."""
        last = min(max(end, self._position + self._window), self._file.size)
        self._begin = self._position
        self._data = self._ranges.read(self._file.name, self._position, last)


def _member(values: Any, end: int, size: int) -> TarMember:
    """Return the file that a line of an index states, behind the header at `end`.

    Raises:
        ValueError: the line cannot be.
    """
    if not isinstance(values, list) or len(values) != 4 or not isinstance(values[0], str):
        raise ValueError("no line of an index")
    path, offset, length, after = values
    if any(type(number) is not int for number in values[1:]):
        raise ValueError("no line of an index")
    if not (end <= offset <= after and length >= 0 and offset + length <= size):
        raise ValueError("nowhere in the tar")
    return TarMember(PurePosixPath(path), offset, length, after)
