"""The `local` executor: worker processes on this machine, one a GPU or one a share of the cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait

from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.executors.base import AnyTask, Crew, Executor, Outcome, WorkSetup
from lyra_data.engine.executors.machine_shares import variables_of_workers, visible_gpus
from lyra_data.engine.executors.worker import Worker
from lyra_data.engine.executors.worker_process import WorkerProcess
from lyra_data.engine.placement import Placement


@contextmanager
def open_local(setup: WorkSetup, crew: Crew) -> Iterator[Executor]:
    """Open workers on this machine. One on a CPU, not asked for by number, is this process itself.

    Raises:
        ExecutorError: this machine has no such device.
    """
    placement = crew.placement_here()
    gpus = visible_gpus() if placement.device == "cuda" else []
    if crew.workers is None and not placement.device.startswith("cuda"):
        yield InThisProcess(setup, placement)
        return
    num_workers = crew.workers or max(len(gpus), 1)
    variables = variables_of_workers(num_workers, gpus, dict(os.environ))
    pool = WorkerProcesses(setup, placement, variables)
    try:
        yield pool
    finally:
        pool.close()


class InThisProcess:
    """One worker, without a process of its own: what kills it kills the run."""

    def __init__(self, setup: WorkSetup, placement: Placement) -> None:
        self._setup = setup
        self._placement = placement
        self._worker = Worker(setup, placement)

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Outcome]]:
        for task in tasks:
            outcome = self._worker.do(task)
            if outcome.state == "lost":
                assert outcome.failure is not None
                raise ExecutorError(
                    f"{outcome.failure.reason}; this process can use it no more",
                    where=task.name,
                    fix="run the command again: what is finished is kept; with --workers 1 a "
                    "worker that ends so is replaced",
                )
            if outcome.worker_ends:
                self._worker = Worker(self._setup, self._placement)
            yield task, outcome


class WorkerProcesses:
    """Worker processes, started as tasks come, replaced when they die.

    Args:
        variables: one a worker: the environment variables that it gets besides this process's own.
    """

    def __init__(
        self, setup: WorkSetup, placement: Placement, variables: list[dict[str, str]]
    ) -> None:
        self._setup = setup
        self._placement = placement
        self._variables = variables
        self._workers: dict[int, WorkerProcess] = {}  # by position in `variables`

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Outcome]]:
        source, ahead = iter(tasks), deque[AnyTask]()
        while True:
            ahead.extend(islice(source, max(len(self._variables) - len(ahead), 0)))
            self._hand_out(ahead)
            if not ahead and not any(worker.task for worker in self._workers.values()):
                return
            for index in self._reporting():
                worker = self._workers[index]
                task, outcome = worker.receive()
                if worker.is_dead:
                    del self._workers[index]
                if task is not None and outcome is not None:
                    yield task, outcome  # type: ignore[misc] - one of `tasks`

    def close(self) -> None:
        """End all workers; what they were doing is lost, what they stored is not."""
        for worker in self._workers.values():
            worker.end()
        for worker in self._workers.values():
            worker.make_sure_it_ended()
        self._workers.clear()

    def _hand_out(self, ahead: deque[AnyTask]) -> None:
        for index, worker in list(self._workers.items()):
            if ahead and worker.is_ready and worker.task is None:
                if worker.give(ahead[0]):
                    ahead.popleft()
                else:
                    del self._workers[index]
        starting = sum(not worker.is_ready for worker in self._workers.values())
        for index, variables in enumerate(self._variables):
            if index not in self._workers and starting < len(ahead):
                self._workers[index] = WorkerProcess(self._setup, self._placement, variables)
                starting += 1

    def _reporting(self) -> list[int]:
        """Wait until workers have sent something or died; return their positions."""
        indices = {worker.connection: index for index, worker in self._workers.items()}
        return [indices[connection] for connection in wait(list(indices))]  # type: ignore[index]
