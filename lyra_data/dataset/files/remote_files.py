"""Read remote files by requests for byte ranges: near ones together, the next ones ahead."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import MissingFileError, Range, too_short
from lyra_data.dataset.files.fsspec_folder import FsspecFolder
from lyra_data.dataset.files.sparse_file import SparseFile
from lyra_data.engine.errors import InputError

if TYPE_CHECKING:
    from lyra_data.hub.folder import HubFolder

JOINED_GAP = 64 * 1024
"""Bytes between two ranges of a file up to which they are asked for together."""

JOINED_SHARE = 0.2
"""Bytes between ranges that may be fetched with them, as a part of those that are needed."""

MAX_AHEAD = 256
"""Joined ranges that are fetched ahead and not read yet; beyond, the oldest are given up."""


class RemoteFiles:
    """Files anywhere else: on the Hub at one commit, or where fsspec reads.

    A connection is made anew in every process, to the same commit.

    Attributes:
        num_requests, num_bytes: requests made and bytes received since it was opened, in this
            process.
    """

    is_local = False

    def __init__(self, uri: str, revision: str | None) -> None:
        self.uri, self.revision = uri, revision
        self.num_requests = self.num_bytes = 0
        self._process = -1
        self._folder: FsspecFolder | HubFolder | None = None
        self._commit: str | None = None
        self._ahead = _Ahead()
        if revision is not None and not uri.startswith("hf://"):
            raise InputError(
                f"only hf:// has revisions, not {uri}", where=uri, fix="leave revision out"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": -1, "_folder": None, "_commit": self.commit}

    @property
    def commit(self) -> str | None:
        """Return the commit that files of the Hub are read at; None where it is not known yet."""
        return self._commit if self._folder is None else self._folder.commit or self._commit

    def keep_unfinished(self, folder: Path) -> None:
        """Keep bytes of the Hub's files as they arrive, until the range they are of is whole."""
        opened = self._connected()
        if not isinstance(opened, FsspecFolder):
            opened.keep_unfinished(folder)

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        self._connected()
        held = self._ahead.take(ranges)
        missing = [part for part in ranges if _holder(part, held) is None]
        held.update(self._fetch(joined(missing)))
        return [_cut_out(part, held) for part in ranges]

    def read_whole(self, file: str) -> bytes:
        folder = self._connected()
        with _remote_errors(self.address(file)):
            self.num_requests += 1
            data = folder.read_whole(file)
        self.num_bytes += len(data)
        return data

    def prefetch(self, ranges: Sequence[Range]) -> None:
        self._connected()
        self._ahead.begin(joined(ranges), self._fetch)

    def size(self, file: str) -> int:
        folder = self._connected()
        with _remote_errors(self.address(file)):
            self.num_requests += 1
            return folder.size(file)

    def list_files(self, folder: str) -> list[str]:  # noqa: ARG002
        """Return nothing: a server need not say which files it has."""
        return []

    def address(self, file: str) -> str:
        return f"{self.uri}/{file}"

    def forget(self, ranges: Sequence[Range]) -> bool:  # noqa: ARG002
        return False

    def open_for_arrow(self, file: str, size: int, ranges: Sequence[Range]) -> pa.NativeFile:
        """Fetch the ranges at once; zeros stand for all other bytes."""
        pieces = [(part.begin, data) for part, data in zip(ranges, self.read(ranges), strict=True)]
        assert all(part.file == file for part in ranges), (file, ranges)
        return pa.PythonFile(SparseFile(size, pieces), mode="r")

    def _fetch(self, parts: Sequence[Range]) -> dict[Range, bytes]:
        """Return the bytes of parts, by requests that are made at once."""
        if not parts:
            return {}
        folder = self._connected()
        with _remote_errors(self.uri):
            fetched = folder.read_ranges([(part.file, part.begin, part.end) for part in parts])
        with self._ahead.lock:
            self.num_requests += len(parts)
            self.num_bytes += sum(map(len, fetched))
        held = {}
        for part, data in zip(parts, fetched, strict=True):
            if len(data) != part.end - part.begin:
                raise too_short(self.address(part.file), part.begin + len(data), part)
            held[part] = bytes(data)
        return held

    def _connected(self) -> FsspecFolder | HubFolder:
        if self._folder is None or self._process != os.getpid():
            self._commit = self.commit
            self._folder = self._opened()
            self._ahead = _Ahead()  # threads do not live on in a fork
            self._process = os.getpid()
        return self._folder

    def _opened(self) -> FsspecFolder | HubFolder:
        uri = self.uri if self.revision is None else _at_revision(self.uri, self.revision)
        if uri.startswith("hf://"):
            from lyra_data.hub.folder import HubAddress, HubFolder

            address = HubAddress.parse(uri)
            if address is not None:
                return HubFolder(address, self._commit)
        return FsspecFolder.at(uri)


class _Ahead:
    """Fetches in the background, each joined range kept until it is read."""

    def __init__(self) -> None:
        self._coming: OrderedDict[Range, Future[dict[Range, bytes]]] = OrderedDict()
        self.lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def __reduce__(self) -> tuple[type[_Ahead], tuple[()]]:
        return _Ahead, ()  # a copy in another process fetches nothing yet

    def begin(self, parts: Sequence[Range], fetch: Any) -> None:
        with self.lock:
            new = [part for part in parts if part not in self._coming]
            if not new:
                return
            if self._threads is None:
                self._threads = ThreadPoolExecutor(4, thread_name_prefix="prefetch")
            coming = self._threads.submit(fetch, new)
            self._coming.update(dict.fromkeys(new, coming))
            while len(self._coming) > MAX_AHEAD:
                self._coming.popitem(last=False)

    def take(self, ranges: Sequence[Range]) -> dict[Range, bytes]:
        """Wait for those of these ranges that are being fetched, and return them.

        A failed fetch is left out: the read that follows asks again, and raises.
        """
        with self.lock:
            taken = {
                part: self._coming.pop(part)
                for part in list(self._coming)
                if any(_within(needed, part) for needed in ranges)
            }
        return {
            part: coming.result()[part]
            for part, coming in taken.items()
            if coming.exception() is None
        }


def joined(ranges: Sequence[Range]) -> list[Range]:
    """Return fewer and larger ranges that cover the given ones, in order.

    The smallest gaps are fetched too, as many as `JOINED_GAP` and `JOINED_SHARE` allow: a request
    takes longer than some KB, and a sample should cost little more than its own bytes.
    """
    parts: list[Range] = []
    for part in sorted(set(ranges)):
        last = parts[-1] if parts else None
        if last and last.file == part.file and part.begin <= last.end:
            parts[-1] = Range(last.file, last.begin, max(last.end, part.end))
        else:
            parts.append(part)
    allowed = JOINED_SHARE * sum(part.end - part.begin for part in parts)
    bridged = set()
    for gap, number in sorted(_gaps(parts)):
        allowed -= gap
        if gap > JOINED_GAP or allowed < 0:
            break
        bridged.add(number)
    covering: list[Range] = []
    for number, part in enumerate(parts):
        if number in bridged:
            covering[-1] = Range(part.file, covering[-1].begin, part.end)
        else:
            covering.append(part)
    return covering


def _gaps(parts: Sequence[Range]) -> Iterator[tuple[int, int]]:
    """Return the bytes between a part and the one before it in the same file, and its number."""
    for number, (last, part) in enumerate(pairwise(parts), 1):
        if last.file == part.file:
            yield part.begin - last.end, number


def _within(part: Range, whole: Range) -> bool:
    return whole.file == part.file and whole.begin <= part.begin and part.end <= whole.end


def _holder(part: Range, held: Mapping[Range, bytes]) -> Range | None:
    return next((whole for whole in held if _within(part, whole)), None)


def _cut_out(part: Range, held: Mapping[Range, bytes]) -> bytes:
    whole = _holder(part, held)
    assert whole is not None, part
    return held[whole][part.begin - whole.begin : part.end - whole.begin]


def _at_revision(uri: str, revision: str) -> str:
    owner, name, *rest = uri.removeprefix("hf://datasets/").split("/")
    return "hf://datasets/" + "/".join([owner, f"{name}@{revision.replace('/', '%2F')}", *rest])


@contextmanager
def _remote_errors(address: str) -> Iterator[None]:
    """Raise what fsspec's file systems raise as errors of ours that name the address."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(
            f"a file is missing ({error})", where=address, fix="see whether the address is right"
        ) from error
    except ValueError as error:
        raise InputError(
            f"byte ranges cannot be read: {error}",
            where=address,
            fix="take a server that answers requests for byte ranges, or download the dataset",
        ) from error
    except Exception as error:
        if isinstance(error, OSError | EOFError) or "ClientError" in str(type(error).__mro__):
            raise InputError(
                f"cannot be reached: {type(error).__name__}: {error}",
                where=address,
                fix="see whether the address and your rights are right, then try again",
            ) from error
        raise
