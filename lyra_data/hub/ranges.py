"""Read byte ranges of a repository's files: exactly the bytes that are asked for, by plain HTTP.

A file's address is asked for once: the Hub answers with that of the storage that holds its bytes,
another host, which never sees the token. A stream that breaks off goes on at the byte it was at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.documents import MAX_JSON_BYTES
from lyra_data.engine.hashing import content_key
from lyra_data.hub.errors import AGAIN, DownloadError, hub_errors, repository_page
from lyra_data.hub.retries import seconds_asked

ATTEMPTS = 4
"""Requests in a row that may bring nothing, before the work stops."""

FIRST_WAIT_SECONDS = 0.5
"""Wait before the second attempt, where the server names none; it doubles every time."""

LONGEST_WAIT_SECONDS = 300.0
"""Longest time that a server can make us wait by Retry-After: the Hub counts calls in 5 minutes."""

BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""

MOST_SKIPPED = 16 * 2**20
"""Bytes before a range that are thrown away, where a server sends a file from its beginning on."""

MOST_WHOLE = MAX_JSON_BYTES
"""Bytes of a file that is read whole into memory."""

LEAST_KEPT = 256 * 1024
"""Bytes of a range from which on it is kept as it arrives."""

EXPIRED = (401, 403, 404, 410)
"""Answers of a storage whose address was given for some time only."""

AT_ONCE = 8
"""Ranges that are fetched at the same time."""


class HubRanges:
    """The files of one repository at one commit; safe to read in threads.

    Attributes:
        commit: what the revision is; the first answer settles it, for a branch may move.
        num_requests, num_bytes: requests for bytes that were made, and bytes received.
        unfinished: folder where the bytes of a long range are kept as they arrive; a later process
            that reads the same range goes on from there. None: they are in memory alone.
    """

    def __init__(self, repository: str, repository_type: str, revision: str | None) -> None:
        self.repository, self.repository_type, self.revision = repository, repository_type, revision
        self.commit: str | None = None
        self.num_requests = self.num_bytes = 0
        self.unfinished: Path | None = None
        self._locations: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def size(self, file: str) -> int:
        """Return the size of a file in bytes; raises as `read`, and FileNotFoundError."""
        return self._location(file)[1]

    def read_whole(self, file: str) -> bytes:
        """Return a whole file, a manifest or an index.

        Raises:
            DownloadError: as `size`; or the file is larger than any of those.
        """
        size = self.size(file)
        if size > MOST_WHOLE:
            raise DownloadError(
                f"{file} has {size / 1e9:,.1f} GB, more than such a file ever has; it was not read",
                where=self._page,
                fix="do not use this revision, and ask who published it",
            )
        return self.read(file, 0, size)

    def read_all(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return the bytes of several ranges (file, begin, end), some of them at a time."""
        if len(ranges) < 2:
            return [self.read(*part) for part in ranges]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ranges") as threads:
            return list(threads.map(lambda part: self.read(*part), ranges))

    def read(self, file: str, begin: int, end: int) -> bytes:
        """Return the bytes of a file from `begin` to before `end`; fewer where it ends before.

        Raises:
            DownloadError: the Hub refuses or cannot be reached.
            StorageError: bytes cannot be kept.
        """
        end = min(end, self.size(file))
        with self._kept(file, begin, end) as received:
            self._read(file, begin, end, received)
        return bytes(received)

    def _read(self, file: str, begin: int, end: int, received: bytearray) -> None:
        """Append what `received` lacks of a range."""
        failures, relocated = 0, False
        while begin + len(received) < end:
            before, wait = len(received), None
            location = self._location(file)[0]
            try:
                with hub_errors(self.repository, self.revision, self.repository_type):
                    status, wait = self._receive(location, begin, end, received)
            except DownloadError as error:
                refusal = error
            else:
                if begin + len(received) == end:
                    break
                if status in EXPIRED and not relocated:
                    del self._locations[file]
                    relocated = True
                    continue
                refusal = self._refusal(status)
                if status not in BUSY:
                    raise refusal
            failures = 1 if len(received) > before else failures + 1
            if failures >= ATTEMPTS:
                raise refusal
            own = FIRST_WAIT_SECONDS * 2 ** (failures - 1)
            time.sleep(own if wait is None else min(wait, LONGEST_WAIT_SECONDS))

    @contextmanager
    def _kept(self, file: str, begin: int, end: int) -> Iterator[bytearray]:
        """Yield what takes the bytes of a range, with those that an earlier process has kept."""
        if self.unfinished is None or end - begin < LEAST_KEPT:
            yield bytearray()
            return
        path = self.unfinished / content_key(
            [self.repository, self.repository_type, self.commit or self.revision, file, begin, end]
        )
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab+") as opened:
                opened.seek(0)
                received = _KeptBytes(opened.read(end - begin), opened)
                yield received
            path.unlink()

    def _receive(
        self, location: str, begin: int, end: int, received: bytearray
    ) -> tuple[int, float | None]:
        """Append what one request brings; return its status, and how long to wait where it says.

        An answer that ends early counts as a busy server's.
        """
        from huggingface_hub import constants
        from huggingface_hub.utils import build_hf_headers, get_session

        first = begin + len(received)
        headers = {**build_hf_headers(), "Range": f"bytes={first}-{end - 1}"}
        headers["Accept-Encoding"] = "identity"
        if urlparse(location).netloc != urlparse(constants.ENDPOINT).netloc:
            headers.pop("authorization", None)  # the token is for the Hub alone
        with self._lock:
            self.num_requests += 1
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", location, headers=headers, timeout=timeout) as response:
            status = response.status_code
            if status >= 400 or (status != 206 and first > MOST_SKIPPED):
                return status, seconds_asked(response.headers, time.time())
            skipped = 0 if status == 206 else first
            for piece in response.iter_bytes():
                received.extend(piece[skipped : skipped + end - begin - len(received)])
                skipped = max(0, skipped - len(piece))
                with self._lock:
                    self.num_bytes += len(piece)
                if begin + len(received) == end:  # a server that knows no ranges would go on
                    break
        return 206 if begin + len(received) == end else 503, None

    def _location(self, file: str) -> tuple[str, int]:
        """Return where the bytes of a file lie, and how many there are."""
        if (known := self._locations.get(file)) is not None:
            return known
        from huggingface_hub import get_hf_file_metadata
        from huggingface_hub.errors import RemoteEntryNotFoundError

        url = self._url(file)
        with hub_errors(self.repository, self.revision, self.repository_type):
            try:
                facts = get_hf_file_metadata(url, retry_on_errors=True)
            except RemoteEntryNotFoundError as error:
                raise _MissingEntryError(f"{file} is not in {self._page}") from error
        if facts.size is None:
            raise DownloadError(f"does not say how long {file} is", where=self._page, fix=AGAIN)
        with self._lock:
            self.commit = self.commit or facts.commit_hash
        location = self._url(file) if facts.location == url else facts.location
        self._locations[file] = location, facts.size
        return self._locations[file]

    def _url(self, file: str) -> str:
        from huggingface_hub import hf_hub_url

        revision = self.commit or self.revision
        return hf_hub_url(self.repository, file, repo_type=self.repository_type, revision=revision)

    @property
    def _page(self) -> str:
        return repository_page(self.repository, self.repository_type)

    def _refusal(self, status: int) -> DownloadError:
        if status < 400:
            return DownloadError(
                "the answer is a whole file, where some of its bytes were asked for",
                where=self._page,
                fix="see to proxies between here and the Hub, or pull the repository whole",
            )
        return DownloadError(
            f"the Hub's storage answers {status}",
            where=self._page,
            fix=f"wait a little, then {AGAIN}",
        )


class _KeptBytes(bytearray):
    """Bytes that are written to a file as they come."""

    def __init__(self, kept: bytes, file: BinaryIO) -> None:
        super().__init__(kept)
        self._file = file

    def extend(self, data: Any) -> None:
        super().extend(data)
        self._file.write(data)


class _MissingEntryError(FileNotFoundError):
    """The repository has no such file."""

    errno = 2  # an error of the disk's kind, which `hub_errors` lets pass
