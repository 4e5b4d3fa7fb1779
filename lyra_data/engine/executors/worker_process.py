"""One worker process, as it lives and as the process that started it sees it.

It is spawned, not forked: a fork would copy the locks of torch's threads in whatever state they
are. It has a pipe of its own, whose end says that it died; multiprocessing's pools lose all their
workers, or hang, when the kernel kills one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection

from lyra_data.engine.child_processes import end_with_parent
from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.executors.base import Outcome, Task, WorkSetup, lost
from lyra_data.engine.executors.machine_shares import environment
from lyra_data.engine.executors.worker import Worker
from lyra_data.engine.placement import Placement

READY = "ready"
SECONDS_TO_END = 10.0
"""Time that a worker which was asked to end may take before it is killed."""


class WorkerProcess:
    """One worker process as the process that started it sees it.

    Args:
        variables: environment variables that it gets besides this process's own.
    """

    def __init__(
        self, setup: WorkSetup, placement: Placement, variables: Mapping[str, str]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, others_end = context.Pipe()
        self.is_ready = False
        self.is_dead = False
        self.task: Task | None = None
        arguments = (setup, placement, others_end, os.getpid())
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        with environment(variables):
            self._process.start()
        others_end.close()  # the worker's end is closed when the worker dies, and only then

    def give(self, task: Task) -> bool:
        """Hand over a task; return False where the worker died meanwhile."""
        try:
            self.connection.send(task)
        except OSError:
            return False
        self.task = task
        return True

    def receive(self) -> tuple[Task | None, Outcome | None]:
        """Return the worker's task and what became of it; nothing where it says that it is ready.

        Raises:
            ExecutorError: it died before it was ready.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if message == READY:
            self.is_ready = True
            return None, None
        task, self.task = self.task, None
        if message.worker_ends:
            self.is_dead = True
            self.make_sure_it_ended()  # its successor needs the GPU's memory
        return task, message

    def _died(self) -> tuple[Task | None, Outcome | None]:
        self.is_dead = True
        self._process.join(SECONDS_TO_END)
        how = how_it_ended(self._process.exitcode)
        if not self.is_ready:
            raise ExecutorError(
                f"a worker {how} before it was ready",
                where="--workers",
                fix="look at what it said above; where memory is short, take fewer workers",
            )
        return self.task, None if self.task is None else lost(self.task, f"the worker {how}")

    def end(self) -> None:
        """Ask an idle worker to end; stop one that works."""
        self.connection.close()
        if self.task is not None or not self.is_ready:
            self._process.terminate()

    def make_sure_it_ended(self) -> None:
        """Wait for its end, and kill it where that takes too long."""
        self._process.join(SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def how_it_ended(exit_code: int | None) -> str:
    """Return how a process ended that ended by itself, as part of a sentence."""
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    hint = ", perhaps for lack of memory" if -exit_code == signal.SIGKILL else ""
    return f"was killed by signal {-exit_code}{hint}"


def serve(setup: WorkSetup, placement: Placement, connection: Connection, parent: int) -> None:
    """Live the whole life of a worker process: do the tasks that come through the connection."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the run ends its workers
    worker = Worker(setup, placement)
    connection.send(READY)
    with contextlib.suppress(EOFError, OSError):  # the run is over
        while True:
            outcome = worker.do(connection.recv())
            connection.send(outcome)
            if outcome.worker_ends:
                os._exit(1)  # what a broken GPU context does at an ordinary end, nobody knows
