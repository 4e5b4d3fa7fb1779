"""The promise of an executor: tasks in, each with its outcome out, in any order, none lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lyra_data.engine.placement import Offload
from lyra_data.generation.worker import Outcome, Task


@dataclass(frozen=True)
class Crew:
    """Who does the work, and where.

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


class Executor(Protocol):
    """Keeps its workers from one `run` to the next."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Every task's outcome as soon as it is known.

        Tasks are taken from the iterable when a worker is free, so there may be millions. A worker
        that dies loses the task it was doing: its outcome is "lost", and a new worker goes on, as
        one does after an outcome with which its worker ends.

        Raises:
            ExecutorError: a worker dies before it does anything, or what fails is this process.
        """
        ...
