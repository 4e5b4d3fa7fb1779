"""Keep ranges of remote files on a local disk, within a limit that several processes share.

A range is a file, named by the sha256 of the file it is of and by its bounds: the same shard has
the same ranges wherever it is read from, and a dataset that was published anew has others. Nothing
here is hashed. Whoever reads a range compares it with the hash that the dataset states, and has it
forgotten where it differs (`byte_ranges.read_checked`); so nothing is flushed to the disk either.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import partial_folder, remove_leftovers

log = logging.getLogger(__name__)

PLACE_VARIABLE = "LYRA_CACHE"
"""Variable of the environment: the folder that ranges are kept in."""

DEFAULT_SHARE = 10
"""One part in so many of the disk is the limit where none is given."""

KEPT_SHARE = 0.9
"""Share of the limit that stays when the ranges not used for longest are removed: all are looked
through for it, so it is not done for every new one."""

BLOCK_BYTES = 4096
"""Bytes that a disk gives at a time."""

ACCOUNT = "used_bytes"
"""The file that says how much is kept; who writes it holds its lock."""

_FOLDER = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"\d+-\d+")


def cache_folder() -> Path:
    """Return where ranges are kept: LYRA_CACHE, or lyra-data/datasets in the user's cache."""
    if given := os.environ.get(PLACE_VARIABLE):
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "lyra-data" / "datasets"


def usual_limit(folder: Path) -> int:
    """Return the limit in bytes of a cache in a folder, which need not be there yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).total // DEFAULT_SHARE


@dataclass(frozen=True, order=True)
class _Kept:
    last_used: int
    path: Path
    num_bytes: int


class RangeCache:
    """Ranges of files in a folder; those not used for longest go where a new one has no room.

    Processes and threads may share it. The disk is never asked for more than the limit; a process
    that is killed leaves no part of a range. Where the disk refuses, nothing more is kept, a
    warning says so once, and reading goes on. Nothing in the folder is touched that has not the
    name of a range.

    Args:
        limit_bytes: what all ranges together may take, in blocks of the disk.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder, self.limit_bytes = Path(folder), limit_bytes
        self._refused = False

    def get(self, sha256: str, begin: int, end: int) -> bytes | None:
        """Return a range and note that it was used; None where it is not kept."""
        path = self._path(sha256, begin, end)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) != end - begin:  # the machine lost power before the disk had it
            self.forget(sha256, begin, end)
            return None
        with contextlib.suppress(OSError):  # it was removed meanwhile, or is another user's
            os.utime(path)
        return data

    def has(self, sha256: str, begin: int, end: int) -> bool:
        """Return whether a range is kept, without noting a use."""
        return self._path(sha256, begin, end).is_file()

    def put(self, sha256: str, begin: int, data: bytes) -> None:
        """Keep a range, after others have made room; one larger than the limit is not kept."""
        path, size = self._path(sha256, begin, begin + len(data)), _on_disk(len(data))
        if self._refused or size > self.limit_bytes or path.is_file():
            return
        try:
            # Written under the lock: room that another process was promised, and has not filled
            # yet, could not be seen on the disk by one that counts what is there.
            with self._account() as account:
                used = self._used(account)
                if used + size > self.limit_bytes:
                    used = self._make_room(size)
                    _write_number(account, used)
                self._write(path, data)
                _write_number(account, used + size)
        except OSError as error:
            self._refused = True
            log.warning(
                "%s: nothing more is kept of what is read from afar (%s)", self.folder, error
            )

    def forget(self, sha256: str, begin: int, end: int) -> bool:
        """Remove a range that is not what it should be; return whether it was kept."""
        path = self._path(sha256, begin, end)
        try:
            size = path.stat().st_size
            path.unlink()
            with self._account() as account:
                _write_number(account, max(self._used(account) - _on_disk(size), 0))
        except OSError:
            return False
        return True

    def _path(self, sha256: str, begin: int, end: int) -> Path:
        return self.folder / sha256 / f"{begin}-{end}"

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(self.folder) as workplace:
            temporary = workplace / path.name
            temporary.write_bytes(data)
            temporary.replace(path)

    def _make_room(self, size: int) -> int:
        """Remove ranges until `size` more bytes leave some room; return the bytes that stay."""
        remove_leftovers(self.folder)
        kept = sorted(self._kept())
        used = sum(one.num_bytes for one in kept)
        for one in kept:
            if used + size <= KEPT_SHARE * self.limit_bytes or used == 0:
                break
            with contextlib.suppress(FileNotFoundError):
                one.path.unlink()
            used -= one.num_bytes
        return used

    def _kept(self) -> Iterator[_Kept]:
        with os.scandir(self.folder) as folders:
            names = [one.path for one in folders if _FOLDER.fullmatch(one.name) and one.is_dir()]
        for name in names:
            with os.scandir(name) as files:
                for file in files:
                    with contextlib.suppress(FileNotFoundError):
                        if _NAME.fullmatch(file.name):
                            facts = file.stat()
                            yield _Kept(facts.st_mtime_ns, Path(file.path), _on_disk(facts.st_size))

    @contextmanager
    def _account(self) -> Iterator[int]:
        """Open and lock the file that says how much is kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        account = os.open(self.folder / ACCOUNT, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: counts may be off
                fcntl.flock(account, fcntl.LOCK_EX)
            yield account
        finally:
            os.close(account)

    def _used(self, account: int) -> int:
        """Return how many bytes are kept; they are counted where nothing says it."""
        text = os.pread(account, 32, 0)
        if text.strip().isdigit():
            return int(text)
        return sum(one.num_bytes for one in self._kept())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_refused": False}


def _on_disk(num_bytes: int) -> int:
    return -(-num_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _write_number(account: int, number: int) -> None:
    os.pwrite(account, f"{number:32d}".encode(), 0)
