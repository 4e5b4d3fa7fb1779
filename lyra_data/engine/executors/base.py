"""The promise of an executor: tasks in, each with its outcome out, in any order, none lost.

A stage brings three things: tasks (small values), a WorkSetup (a picklable value that builds what
a worker loads once), and the Work that it builds, which does one task after another and stores what
it makes where the stage finds it again. Only tasks and outcomes travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from lyra_data.engine.failures import Failure
from lyra_data.engine.placement import Offload, Placement

WORKER_DIED = "WorkerDied"
"""Kind of failure of a task whose worker died: killed, out of memory, its GPU or node gone."""


class Task(Protocol):
    """One piece of a stage's work: a small picklable value."""

    @property
    def number(self) -> int:
        """Place in the stage's plan: it orders what is reported, whoever was done first."""
        ...

    @property
    def name(self) -> str:
        """Name that people read in notes, logs and failures, e.g. "scene/left"."""
        ...


class KeyedTask(Task, Protocol):
    """A task whose content key is known before it is done, so that its failure can be recorded."""

    @property
    def key(self) -> str:
        """Content key (`hashing.content_key`) of all that shapes the task's result."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)
State = Literal["done", "found", "failed", "failed_before", "lost", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """Tells what became of a task.

    Attributes:
        state: "found": was finished by an earlier run. "failed_before": a recorded failure, not
            tried again. "lost": its worker died. "stopped": no task can go on before `error` is
            mended.
        result: small value that the stage's work returns; a task that failed may have one, too.
        failure: why it failed, where it did.
        traceback: of a fault of the program, else "".
        error: what stops the run.
        worker_ends: the worker can do no other task.
    """

    state: State
    result: Any = None
    failure: Failure | None = None
    traceback: str = ""
    error: Exception | None = None
    worker_ends: bool = False


def lost(task: Task, reason: str, *, worker_ends: bool = False) -> Outcome:
    """Return the outcome of a task whose worker died."""
    return Outcome("lost", failure=Failure(task.name, WORKER_DIED, reason), worker_ends=worker_ends)


class Work(Protocol):
    """Does tasks with the parts of a stage that one worker holds, and the models it has loaded."""

    def do(self, task: Any) -> Outcome:
        """Do one task. Whatever it raises becomes its outcome (`worker.Worker`)."""
        ...


class WorkSetup(Protocol):
    """Holds everything that a worker needs to begin; picklable, as it travels to the worker."""

    def build(self, placement: Placement) -> Work:
        """Build a worker's parts; models are loaded when a task first needs them."""
        ...


@dataclass(frozen=True)
class Crew:
    """Says who does the work, and where. It changes how long that takes, never the results.

    Attributes:
        executor: a key of EXECUTORS.
        workers: how many; None: one a GPU, and where there is none, one.
        ray_address: of the cluster's head, or "auto": the cluster of this machine.
        device: as torch spells it, e.g. "cpu", "cuda", "cuda:1"; None: a GPU where there is one.
        offload: see `Placement`.
        root: see `Placement`.
    """

    executor: str = "local"
    workers: int | None = None
    ray_address: str = "auto"
    device: str | None = None
    offload: Offload = "none"
    root: Path = field(default_factory=Path)

    def for_tasks(self, num_tasks: int) -> Crew:
        """Return a crew of no more workers than there are tasks: fewer have larger shares."""
        if self.workers is None:
            return self
        return replace(self, workers=min(self.workers, max(num_tasks, 1)))

    def here(self) -> Crew:
        """Return a crew of this machine without a number of workers; a cluster's devices are not
        this machine's."""
        device = self.device if self.executor == "local" else None
        return Crew(device=device, offload=self.offload, root=self.root)

    def placement_here(self) -> Placement:
        """Return where this very process puts a model.

        Raises:
            ExecutorError: this machine has no such device.
        """
        return Placement.asked_for(self.here().device, self.offload, self.root)


class Executor(Protocol):
    """Keeps its workers from one `run` to the next."""

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Outcome]]:
        """Yield every task's outcome as soon as it is known.

        Tasks are taken from the iterable when a worker is free, so there may be millions. A worker
        that dies loses the task it was doing: its outcome is "lost", and a new worker goes on, as
        one does after an outcome with which its worker ends.

        Raises:
            ExecutorError: a worker dies before it does anything, or what fails is this process.
        """
        ...
