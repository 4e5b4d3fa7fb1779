"""Files and folders that appear whole or not at all, whatever kills the process.

Work in progress lies in a folder `.partial-<random>` beside its target, on the same file system,
and is renamed onto the target when it is whole. The owner holds a lock on that folder for as long
as it lives; the kernel drops the lock when the process dies, however it dies. So a leftover can be
told from work in progress exactly, and the next writer removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_data.engine.errors import StorageError

PARTIAL_PREFIX = ".partial-"

_PARTIAL_NAME = re.compile(r"\.partial-[0-9a-f]{16}")
"""Exactly the names that are made here: a folder of the user's may begin in the same way."""

_FIXES = {
    errno.ENOSPC: "free space on this disk, or choose another one; finished work is kept",
    errno.EDQUOT: "your disk quota is used up: free space or ask for more; finished work is kept",
    errno.EFBIG: "raise the file size limit (`ulimit -f`), or choose another file system",
    errno.EROFS: "choose a folder on a disk that can be written to",
    errno.EACCES: "give yourself write permission on this folder, or choose another one",
    errno.EPERM: "give yourself write permission on this folder, or choose another one",
    errno.ENOTDIR: "a part of this path is a file where a folder is needed: move it away",
    errno.EEXIST: "a file stands where a folder is needed: move it away",
    errno.EISDIR: "a folder stands where a file is needed: move it away",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a StorageError that names `path` and the fix.

    Raises:
        StorageError: no space, quota, read-only, no permission, or a file where a folder is needed.
        OSError: anything else; it names the path.
    """
    try:
        yield
    except OSError as error:
        fix = _FIXES.get(error.errno or 0)
        if fix is None:
            error.filename = error.filename or str(_final(path))
            raise
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write: {reason}", where=str(_final(path)), fix=fix) from error


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the name of `path`; it becomes `path` when the block ends well.

    The file is flushed to the disk before it is renamed. After an exception the temporary is
    removed and a former `path` stays as it was. Missing parent folders are made. Where `path` is a
    link, the link is replaced and its target stays: it may be a cache's only copy.

    Raises:
        StorageError: as `storage_errors`.
    """
    path = Path(path)
    with storage_errors(path), partial_folder(path.parent) as workplace:
        remove_leftovers(path.parent)
        temporary = workplace / path.name
        yield temporary
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)


@contextmanager
def folder_atomically(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; it takes the place of `target` when the block ends well.

    Where `target` is a link to a folder, that folder is replaced, and the link stays: results may
    have been put on another disk.

    Raises:
        StorageError: as `storage_errors`.
    """
    target = followed(target)
    with storage_errors(target), partial_folder(target.parent) as workplace:
        remove_leftovers(target.parent)
        temporary = workplace / target.name
        temporary.mkdir()
        yield temporary
        publish_folder(temporary, target)


def publish_folder(temporary_folder: Path, target: Path) -> None:
    """Put a whole folder in the place of `target`; the old one goes only once the new one is safe.

    Where `target` is a link to a folder, that folder is replaced, and the link stays. Killed
    between the two renames, neither stands at `target`: a missing folder, never a mixed one.

    Raises:
        StorageError: as `storage_errors`.
    """
    target = followed(target)
    with storage_errors(target):
        with partial_folder(target.parent) as workplace:
            whole = workplace / "new"
            shutil.move(temporary_folder, whole)  # a copy, where a link led to another disk
            flush_all_to_disk(whole)
            with contextlib.suppress(FileNotFoundError):
                target.rename(workplace / "old")
            whole.rename(target)
        flush_to_disk(target.parent)


def followed(target: Path) -> Path:
    """Return where a folder lies that is reached by links; the path itself where it is no link."""
    target = Path(target)
    return Path(os.path.realpath(target)) if target.is_symlink() else target


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder among the system's temporary files, removed with its content at the end.

    Those of killed processes are removed by the next one that makes such a folder.
    """
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent)
    with partial_folder(parent) as folder:
        yield folder


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Make a fresh, locked `.partial-*` folder inside `parent`, removed with its content at the
    end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder, lock = _make_locked(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_leftovers(parent: Path) -> None:
    """Remove the `.partial-*` folders in `parent` whose owners are dead."""
    with os.scandir(parent) as entries:
        names = [
            entry.name
            for entry in entries
            if is_partial(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    for name in names:
        lock = _try_lock(parent / name)
        if lock is not None:
            shutil.rmtree(parent / name, ignore_errors=True)
            os.close(lock)


def is_partial(name: str) -> bool:
    """Return whether a folder of this name is one of unfinished work, made here."""
    return _PARTIAL_NAME.fullmatch(name) is not None


def flush_to_disk(path: Path) -> None:
    """Flush a file or a folder by fsync; a full disk may show itself only here."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_all_to_disk(folder: Path) -> None:
    """Flush a folder and everything below it by fsync."""
    for path in sorted(folder.rglob("*")):
        flush_to_disk(path)
    flush_to_disk(folder)


def _final(path: Path) -> Path:
    """Return where a path inside unfinished folders will be: those are gone when the error is
    read."""
    return Path(*(part for part in path.parts if not is_partial(part)))


def _make_locked(parent: Path) -> tuple[Path, int]:
    while True:
        folder = parent / f"{PARTIAL_PREFIX}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # a cleaner has found it before it was locked, and removed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # a cleaner holds it, and is about to remove it
            os.close(lock)
            continue
        except OSError:  # this file system has no locks: nobody can take one, leftovers stay
            return folder, lock
        if _is_still(folder, lock):
            return folder, lock
        os.close(lock)


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _try_lock(folder: Path) -> int | None:
    """Return a descriptor holding the only lock on `folder`, or None where another process lives
    there."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Link the same file under a second name; copy it where the file system refuses that.

    Where `source` is a symbolic link, the file that it leads to is linked: a second name of the
    link itself would lead from `target`'s folder to somewhere else.
    """
    source = os.path.realpath(source)
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, or too many of them
        shutil.copyfile(source, target)
