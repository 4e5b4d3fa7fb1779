"""Locks: one process at a time does a piece of work, and the next is told which one has it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_data.engine.documents import parse_json
from lyra_data.engine.errors import BusyError

LOCKS = "locks"
"""The folder of locks in a project's scratch folder."""


@contextmanager
def held_lock(scratch: Path, work: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a piece of work in a project for as long as the block lasts.

    The kernel drops it when the process ends, however it ends; the file stays. Where the file
    system has no locks, or the folder cannot be written, the work is done without one.

    Args:
        scratch: the project's scratch folder; locks of one name in it exclude one another.
        work: names the work, e.g. "generate"; part of a file's name.
        shared: others that share it may hold it at the same time, and no one else.

    Raises:
        BusyError: another process holds it; names it.
    """
    descriptor = _opened(scratch / LOCKS / f"{work}.lock")
    if descriptor is None:
        yield
        return
    try:
        _take(descriptor, scratch, work, shared=shared)
        yield
    finally:
        os.close(descriptor)


def _opened(file: Path) -> int | None:
    """Open the lock's file; None where it cannot be: the work itself will say what is wrong."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's: it can still be locked
        try:
            return os.open(file, os.O_RDONLY)
        except OSError:
            return None
    except OSError:
        return None


def _take(descriptor: int, scratch: Path, work: str, *, shared: bool) -> None:
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(
            f"{work} is being done here already, by {_holder(descriptor)}",
            where=str(scratch.parent),
            fix="wait until it has ended, or stop it; then the same command goes on from there",
        ) from None
    except OSError:  # no locks on this file system
        return
    holder = {
        "process": os.getpid(),
        "machine": platform.node(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except OSError:  # another user's file, or a full disk: the lock holds without a name
        return


def _holder(descriptor: int) -> str:
    """Return who holds the lock, as a lock's file says it."""
    try:
        holder = parse_json(os.pread(descriptor, 4096, 0))
        process, machine, since = (str(holder[key]) for key in ("process", "machine", "since"))
    except (OSError, ValueError, TypeError, KeyError):  # it has not written its name
        return "another process"
    return f"process {process} on {machine}, since {since}"
