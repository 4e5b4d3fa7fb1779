"""The `local` executor: worker processes on this machine, one a GPU or one a share of the cores.

Processes are spawned, not forked: a fork would copy the locks of torch's threads in whatever state
they are. What a worker may see, one GPU and its share of the cores, is set in its environment
before it starts, for torch and numba read that once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from multiprocessing.connection import Connection, wait

from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.placement import THREAD_VARIABLES, Placement
from lyra_data.generation.executors.base import Crew, Executor
from lyra_data.generation.worker import Outcome, Task, Worker, WorkerSetup, lost

READY = "ready"
PATIENCE_SECONDS = 10.0
"""How long a worker that was told to end may take before it is killed."""


@contextmanager
def open_local(setup: WorkerSetup, crew: Crew) -> Iterator[Executor]:
    """Workers on this machine. One on a CPU, not asked for by number, is this process itself."""
    placement = Placement.asked_for(crew.device, crew.offload, crew.root)
    setup = replace(setup, placement=placement)
    gpus = visible_gpus() if placement.device == "cuda" else []
    if crew.workers is None and not placement.device.startswith("cuda"):
        yield InThisProcess(setup)
        return
    num_workers = crew.workers or max(len(gpus), 1)
    pool = WorkerProcesses(setup, environments(num_workers, gpus, dict(os.environ)))
    try:
        yield pool
    finally:
        pool.close()


class InThisProcess:
    """One worker, without a process of its own: what kills it kills the run."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._worker = Worker(setup)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
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
                self._worker = Worker(self._setup)
            yield task, outcome


class WorkerProcesses:
    """Worker processes, started as tasks come, replaced when they die.

    Args:
        environments: one a worker: the variables that it gets besides this process's own.
    """

    def __init__(self, setup: WorkerSetup, environments: list[dict[str, str]]) -> None:
        self._setup = setup
        self._environments = environments
        self._workers: dict[int, _WorkerProcess] = {}

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        source, ahead = iter(tasks), deque[Task]()
        while True:
            ahead.extend(islice(source, max(len(self._environments) - len(ahead), 0)))
            self._hand_out(ahead)
            if not ahead and not any(worker.task for worker in self._workers.values()):
                return
            for place in self._reporting():
                worker = self._workers[place]
                task, outcome = worker.take()
                if worker.is_dead:
                    del self._workers[place]
                if task is not None and outcome is not None:
                    yield task, outcome

    def close(self) -> None:
        """End all workers; what they were doing is lost, what they stored is not."""
        for worker in self._workers.values():
            worker.end()
        for worker in self._workers.values():
            worker.make_sure_it_ended()
        self._workers.clear()

    def _hand_out(self, ahead: deque[Task]) -> None:
        for place, worker in list(self._workers.items()):
            if ahead and worker.is_ready and worker.task is None:
                if worker.give(ahead[0]):
                    ahead.popleft()
                else:
                    del self._workers[place]
        starting = sum(not worker.is_ready for worker in self._workers.values())
        for place, environment in enumerate(self._environments):
            if place not in self._workers and starting < len(ahead):
                self._workers[place] = _WorkerProcess(self._setup, environment)
                starting += 1

    def _reporting(self) -> list[int]:
        """Wait until some workers have something to tell, or died."""
        places = {worker.connection: place for place, worker in self._workers.items()}
        return [places[connection] for connection in wait(list(places))]  # type: ignore[index]


class _WorkerProcess:
    """One worker process as this process sees it."""

    def __init__(self, setup: WorkerSetup, environment: dict[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.is_ready = False
        self.is_dead = False
        self.task: Task | None = None
        self._process = context.Process(target=_work, args=(setup, theirs), daemon=True)
        with _environment(environment):
            self._process.start()
        theirs.close()  # the worker's end is closed when the worker dies, and only then

    def give(self, task: Task) -> bool:
        """Hand over a task; False where the worker died meanwhile."""
        try:
            self.connection.send(task)
        except OSError:
            return False
        self.task = task
        return True

    def take(self) -> tuple[Task | None, Outcome | None]:
        """What the worker tells: its task and what became of it, or that it is ready: nothing.

        Raises:
            ExecutorError: it died before it was ready.
        """
        try:
            told = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if told == READY:
            self.is_ready = True
            return None, None
        task, self.task = self.task, None
        if told.worker_ends:
            self.is_dead = True
            self.make_sure_it_ended()  # its successor needs the GPU's memory
        return task, told

    def _died(self) -> tuple[Task | None, Outcome | None]:
        self.is_dead = True
        self._process.join(PATIENCE_SECONDS)
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
        self._process.join(PATIENCE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def how_it_ended(exit_code: int | None) -> str:
    """Of a process that ended by itself, as part of a sentence."""
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    hint = ", perhaps for lack of memory" if -exit_code == signal.SIGKILL else ""
    return f"was killed by signal {-exit_code}{hint}"


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES has to be for each GPU that this process may use."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(index) for index in range(torch.cuda.device_count())]


def environments(num_workers: int, gpus: list[str], given: dict[str, str]) -> list[dict[str, str]]:
    """One set of variables a worker: its share of the cores, and the GPUs in turn.

    Args:
        given: this process's own; a lower number of threads there stays as it is.
    """
    share = max(len(os.sched_getaffinity(0)) // num_workers, 1)
    found = []
    for index in range(num_workers):
        variables = {
            name: str(min(share, int(given[name])) if given.get(name, "").isdecimal() else share)
            for name in THREAD_VARIABLES
        }
        if gpus:
            variables["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
        found.append(variables)
    return found


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """A process started inside the block inherits the variables."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _work(setup: WorkerSetup, connection: Connection) -> None:
    """The whole life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is told to all: the run ends its workers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    worker = Worker(setup)
    connection.send(READY)
    with contextlib.suppress(EOFError, OSError):  # the run is over
        while True:
            outcome = worker.do(connection.recv())
            connection.send(outcome)
            if outcome.worker_ends:
                os._exit(1)  # what a broken GPU context does at an ordinary end, nobody knows


def _die_with_parent() -> None:
    """A run that was killed leaves no worker behind that goes on using the GPU."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
