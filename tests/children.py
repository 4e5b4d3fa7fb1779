"""Work in forked children: to kill it at any moment, or to run it under a limit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.warm_processes import warm_context


def kill_after_first(seconds: float, rounds: Iterator[object]) -> None:
    """Go through `rounds` in a child; kill it (SIGKILL) some time after it ended the first one.

    The child is a fork, which hangs where a thread held a lock: call it in a fresh process.
    """
    reading, writing = os.pipe()

    def work() -> None:
        next(rounds)
        os.write(writing, b"1")
        for _ in rounds:
            pass

    child = _fork(work)
    os.close(writing)
    assert os.read(reading, 1) == b"1", "the child failed in its first round"
    os.close(reading)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def succeeds_in_fresh_process(work: Callable[..., object], *arguments: object) -> bool:
    """Whether `work`, a module's function, ends without an exception in a process of its own.

    For what forks: a test process may have threads, beside which forking can hang.
    """
    child = warm_context().Process(target=work, args=arguments)  # type: ignore[attr-defined]
    child.start()
    child.join(300)
    child.kill()
    child.join()
    return child.exitcode == 0


def _fork(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    """Return the process ids of a process's children, their children, and so on."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def wait_until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Return when the condition holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)
