"""Work in forked children: to kill it at any moment, or to run it under a limit."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator

from tests.warm_processes import warm_context


def kill_after_first(seconds: float, rounds: Iterator[object]) -> None:
    """Go through `rounds` in a child; kill it (SIGKILL) some time after it ended the first one."""
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


def succeeds_in_child(work: Callable[[], object]) -> bool:
    """Whether `work` ends without an exception in a child; a traceback goes to stderr."""
    _, status = os.waitpid(_fork(work), 0)
    return status == 0


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
