"""Locks: one process at a time does a piece of work, and the next is told which one has it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path

from lyra_data.engine.documents import parse_json
from lyra_data.engine.errors import BusyError

LOCKS = "locks"
"""The folder of locks in a project's scratch folder."""

WAIT_VARIABLE = "LYRA_WAIT"
"""Variable of the environment: 1 waits for others' locks, 0 refuses; where it is not set, a command
waits on a terminal, where a person reads why and can stop it, and refuses elsewhere."""

SECONDS_BETWEEN_TRIES = 0.5

FIX = (
    "wait until it has ended, or stop it; then the same command goes on from there. With "
    f"{WAIT_VARIABLE}=1 it waits itself"
)

_report_wait: ContextVar[Callable[[str], None] | None] = ContextVar("report_wait", default=None)


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, as the lock's file states it."""

    process: str
    machine: str
    since: str

    @classmethod
    def of_this_process(cls) -> Holder:
        """Return this process, from now on."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(str(os.getpid()), platform.node(), since)

    def is_this_process(self) -> bool:
        """Return whether to wait for it would be to wait for oneself."""
        return (self.process, self.machine) == (str(os.getpid()), platform.node())

    def __str__(self) -> str:
        return f"process {self.process} on {self.machine}, since {self.since}"


@contextmanager
def waiting_for_locks(report: Callable[[str], None]) -> Iterator[None]:
    """Wait, within the block and its thread, for locks that others hold instead of refusing.

    Args:
        report: takes a line that says for whom; once, and again where another one comes before.
    """
    token = _report_wait.set(report)
    try:
        yield
    finally:
        _report_wait.reset(token)


@contextmanager
def held_lock(scratch: Path, work: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a piece of work in a project for as long as the block lasts.

    The kernel drops it when the process ends, however it ends; the file stays. It is the lock that
    counts, never what the file says or how old it is. Where the file system has no locks, or the
    folder cannot be written, the work is done without one.

    Args:
        scratch: the project's scratch folder; locks of one name in it exclude one another.
        work: names the work, e.g. "generate"; part of a file's name.
        shared: others that share it may hold it at the same time, and no one else.

    Raises:
        BusyError: another process holds it, and nothing says to wait (`waiting_for_locks`), or this
            one does; names it.
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
    """Open the lock's file; None where it cannot be: the work itself will say what is wrong.

    Whoever works here may write it, whatever the umask of the one who made it: some file systems
    (NFS) give locks only to those who may write. A link is not followed: another user of the folder
    could have the name of the holder written over any file.
    """
    flags = os.O_CREAT | os.O_NOFOLLOW
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | flags, 0o666)
        with suppress(OSError):  # it is another user's, who has done so
            os.fchmod(descriptor, 0o666)
        return descriptor
    except PermissionError:  # another user's: it can still be locked
        try:
            return os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
    except OSError:
        return None


def _take(descriptor: int, scratch: Path, work: str, *, shared: bool) -> None:
    """Take the lock, at once or as soon as it is free; write who has it into its file."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    reported = None
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = _holder(descriptor)
        except OSError:  # no locks on this file system
            return
        line = f"{work} is being done here already, by {holder or 'another process'}"
        report = _report_wait.get()
        if report is None or (holder is not None and holder.is_this_process()):
            raise BusyError(line, where=str(scratch.parent), fix=FIX)
        if line != reported:
            report(line)
            reported = line
        time.sleep(SECONDS_BETWEEN_TRIES)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(Holder.of_this_process())).encode(), 0)
    except OSError:  # another user's file, or a full disk: the lock holds without a name
        return


def _holder(descriptor: int) -> Holder | None:
    """Return who holds the lock, as its file says; None where it has not written its name yet."""
    try:
        holder = parse_json(os.pread(descriptor, 4096, 0))
        return Holder(*(str(holder[key]) for key in ("process", "machine", "since")))
    except (OSError, ValueError, TypeError, KeyError):
        return None
