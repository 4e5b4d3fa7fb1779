"""Fetch a listed repository, file by file; a cut file goes on where it stopped.

The Hub's own client starts a cut file anew, and GEN3C's network is one large file. So the bytes
that arrived are kept in a hidden folder beside the target, named after the file's content; the
next run asks only for the rest, and a file takes its name when its hash is right.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

from lyra_data.engine.atomic import flush_to_disk, storage_errors
from lyra_data.engine.disk_space import require_free_space
from lyra_data.engine.errors import StorageError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.progress import Progress, silent
from lyra_data.hub.errors import AGAIN, DownloadError, hub_errors
from lyra_data.hub.listing import Listing, RemoteFile

UNFINISHED = ".unfinished"
MIB = 2**20


def files_to_fetch(listing: Listing, folder: Path) -> list[RemoteFile]:
    """Return the files that are not in `folder` yet with the content they should have."""
    return [file for file in listing.files if not _is_whole(file, folder / file.name)]


def bytes_to_fetch(files: list[RemoteFile], folder: Path) -> int:
    """Return the bytes that the network still has to bring: begun files count for their rest."""
    return sum(file.size - _begun(file, folder) for file in files)


def require_space(files: list[RemoteFile], folder: Path) -> None:
    """Raise StorageError where the disk has less space than what is to be fetched."""
    require_free_space(bytes_to_fetch(files, folder), folder)


def fetch_files(
    listing: Listing, files: list[RemoteFile], folder: Path, *, progress: Progress = silent
) -> None:
    """Fetch `files` of the listing into `folder`.

    Raises:
        DownloadError: the Hub refuses or cannot be reached, or bytes arrive altered.
        StorageError: the disk refuses.
    """
    bar = _Bar(progress, bytes_to_fetch(files, folder))
    with storage_errors(folder):
        for file in files:
            with hub_errors(listing.repository, listing.revision, listing.repository_type):
                _fetch_file(listing, file, folder, bar)
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    progress.finish()


def _fetch_file(listing: Listing, file: RemoteFile, folder: Path, bar: _Bar) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(
        listing.repository,
        file.name,
        repo_type=listing.repository_type,
        revision=listing.revision,
    )
    location = get_hf_file_metadata(url).location
    headers = build_hf_headers()
    if urlparse(location).netloc != urlparse(url).netloc:
        headers.pop("authorization", None)  # the token is for the Hub alone
    unfinished = _unfinished(file, folder)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    with unfinished.open("ab") as target, _alone(target, folder):
        begun = target.tell()
        bar.note = file.name
        if begun < file.size or file.size == 0:
            http_get(
                location,
                _Bounded(target, file, listing.page),  # type: ignore[arg-type]
                resume_size=begun,
                headers=headers,
                expected_size=file.size,
                tqdm_class=bar.listener(),
            )
    if not _is_whole(file, unfinished):
        unfinished.unlink()
        raise DownloadError(
            f"{file.name} arrived altered: its hash is not what the Hub states",
            where=listing.page,
            fix="run the same command again: this file is fetched anew",
        )
    flush_to_disk(unfinished)
    (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(folder / file.name)


@contextmanager
def _alone(file: BinaryIO, folder: Path) -> Iterator[None]:
    """Hold a lock, for two processes must not append to one file. The lock goes with the
    process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError(
            "another process is fetching into this folder",
            where=str(folder),
            fix=f"wait until it is done, or stop it; then {AGAIN}",
        ) from None
    yield


def _is_whole(file: RemoteFile, path: Path) -> bool:
    """Return whether `path` holds exactly the file's bytes."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        return sha256_of_file(path) == file.sha256
    content = path.read_bytes()
    name = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return file.git_hash in (None, name)


def _unfinished(file: RemoteFile, folder: Path) -> Path:
    content = file.sha256 or file.git_hash or "unknown"
    return folder / UNFINISHED / f"{file.name.replace('/', '__')}.{content[:16]}"


def _begun(file: RemoteFile, folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return min(_unfinished(file, folder).stat().st_size, file.size)
    return 0


class _Bounded:
    """A file that takes no more bytes than the listing states: an answer may have no end."""

    def __init__(self, target: BinaryIO, file: RemoteFile, page: str) -> None:
        self._target, self._file, self._page = target, file, page

    def write(self, data: bytes) -> int:
        if self._target.tell() + len(data) > self._file.size:
            self._target.truncate(0)
            raise DownloadError(
                f"{self._file.name} is longer than the {self._file.size} bytes that the Hub states",
                where=self._page,
                fix="run the same command again: this file is fetched anew; if it goes on, do not "
                "use this repository",
            )
        return self._target.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class _Bar:
    """Bytes of all files as one bar of whole MiB."""

    def __init__(self, progress: Progress, num_bytes: int) -> None:
        self.note = ""
        self._progress = progress
        self._num_bytes = 0
        progress.start("Downloading", max(num_bytes // MIB, 1), "MiB")

    def add(self, num_bytes: int) -> None:
        before = self._num_bytes // MIB
        self._num_bytes += num_bytes
        self._progress.advance(self._num_bytes // MIB - before, self.note)

    def listener(self) -> Any:
        """Return a class that the Hub's client takes for its bar."""
        bar = self

        class Listener:
            def __init__(self, *_: Any, **__: Any) -> None:
                pass

            def update(self, num_bytes: float | None = 1) -> None:
                bar.add(int(num_bytes or 0))

            def __enter__(self) -> Listener:
                return self

            def __exit__(self, *_: object) -> None:
                logging.getLogger(__name__).debug("%s: stream closed", bar.note)

        return Listener
