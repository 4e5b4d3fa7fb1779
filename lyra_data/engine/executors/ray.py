"""The `ray` executor: workers are actors on an existing Ray cluster.

All nodes need this package and its weights, and see inputs, scratch and outputs at the same paths:
a file system that they share. Only tasks and outcomes travel.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.executors.base import (
    AnyTask,
    Crew,
    Executor,
    Outcome,
    Task,
    Work,
    WorkSetup,
    lost,
)
from lyra_data.engine.executors.node_shares import most_cpus_a_worker
from lyra_data.engine.executors.worker import Worker
from lyra_data.engine.placement import Placement

START_CLUSTER = (
    "start one with `ray start --head`, or give the address of its head node; where a cluster "
    "asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on its nodes"
)

SECONDS_TO_CONNECT = 10.0
MOST_FAILED_STARTS = 5
"""Workers in a row that die before they live; then it is not their nodes."""


@contextmanager
def open_ray(setup: WorkSetup, crew: Crew) -> Iterator[Executor]:
    """Open workers on the cluster at `crew.ray_address`.

    Without a number in `crew` there is one a GPU of the cluster, or one.

    Raises:
        ExecutorError: Ray is not installed, there is no cluster, or it has too few CPUs.
    """
    ray = _ray()
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(ray, crew.ray_address)
    try:
        resources = ray.cluster_resources()
        device = crew.device or ("cuda" if resources.get("GPU") else "cpu")
        placement = Placement(device, crew.offload, crew.root)
        num_gpus = int(resources.get("GPU", 0)) if device.startswith("cuda") else 0
        num_workers = crew.workers or max(num_gpus, 1)
        gpus_each = min(num_gpus / num_workers, 1)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        num_cpus = most_cpus_a_worker(nodes, num_workers, gpus_each)
        if num_cpus < 1:
            raise ExecutorError(
                f"the cluster has {int(resources.get('CPU', 0))} CPUs for {num_workers} workers",
                where="--workers",
                fix="take fewer workers, or add nodes to the cluster",
            )
        actors = Actors(ray, setup, placement, num_workers, num_cpus, gpus_each)
        try:
            yield actors
        finally:
            actors.close()
    finally:
        if is_ours:
            ray.shutdown()


@dataclass(frozen=True)
class SetupInFolder:
    """A setup whose workers have the command's working folder, where their node has it, so that
    relative paths mean the same on all nodes."""

    setup: WorkSetup
    folder: Path

    def build(self, placement: Placement) -> Work:
        if self.folder.is_dir():
            os.chdir(self.folder)
        return self.setup.build(placement)


class ActorWorker(Worker):
    """A worker that says when it lives: a cluster without room starts it later, or never."""

    def is_ready(self) -> bool:
        return True


class Actors:
    """Workers as Ray actors, started as tasks come, replaced when they die.

    A task is given to an actor that lives, so one for which the cluster has no room any more (a
    node was lost) holds no task back from the others.

    Args:
        num_cpus: CPUs of one worker; its threads.
        num_gpus: GPUs of one worker, or the part of one that it has.
    """

    def __init__(
        self,
        ray: Any,
        setup: WorkSetup,
        placement: Placement,
        num_workers: int,
        num_cpus: int,
        num_gpus: float,
    ) -> None:
        self._ray = ray
        self._setup = ray.put(SetupInFolder(setup, Path.cwd()))
        self._placement = placement
        self._num_workers = num_workers
        self._kind = ray.remote(ActorWorker).options(
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            max_restarts=0,
            runtime_env={"env_vars": {"NUMBA_NUM_THREADS": str(num_cpus)}},
        )
        self._failed_starts = 0
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Outcome]]:
        source, ahead = iter(tasks), deque[AnyTask]()
        while True:
            ahead.extend(islice(source, self._num_workers - len(self._busy) - len(ahead)))
            while ahead and self._idle:
                actor, task = self._idle.pop(), ahead.popleft()
                self._busy[actor.do.remote(task)] = (actor, task)
            while len(self._starting) < min(len(ahead), self._num_workers - len(self._busy)):
                actor = self._kind.remote(self._setup, self._placement)
                self._starting[actor.is_ready.remote()] = actor
            if not ahead and not self._busy:
                return
            (finished,), _ = self._ray.wait([*self._starting, *self._busy], num_returns=1)
            if finished in self._starting:
                self._take_in(finished)
                continue
            actor, task = self._busy.pop(finished)
            yield task, self._outcome(finished, actor, task)  # type: ignore[misc] - one of `tasks`

    def close(self) -> None:
        """End all workers; what they were doing is lost, what they stored is not."""
        busy = (actor for actor, _ in self._busy.values())
        for actor in [*self._starting.values(), *self._idle, *busy]:
            self._kill(actor)
        self._starting, self._idle, self._busy = {}, [], {}

    def _take_in(self, started: Any) -> None:
        """Take an actor that has started, or failed to.

        Raises:
            ExecutorError: it cannot work, on whatever node.
        """
        actor, errors = self._starting.pop(started), self._ray.exceptions
        try:
            self._ray.get(started)
        except (errors.ActorUnschedulableError, errors.RuntimeEnvSetupError) as error:
            raise _cannot_start(error) from error
        except errors.RayError as error:
            self._failed_starts += 1
            is_hopeless = self._failed_starts >= MOST_FAILED_STARTS
            if is_hopeless or getattr(error, "actor_init_failed", False):
                raise _cannot_start(error) from error
            self._kill(actor)  # its node is gone: another is started
        else:
            self._failed_starts = 0
            self._idle.append(actor)

    def _outcome(self, finished: Any, actor: Any, task: Task) -> Outcome:
        """Return what the actor answers; one that died is let go, another takes its place.

        Memory, disk, a node or the network may fail under it: Ray has an error of its own for
        each, and most are no RayActorError.
        """
        errors = self._ray.exceptions
        try:
            outcome = self._ray.get(finished)
        except errors.RayError as error:
            self._kill(actor)  # one that is merely out of reach would go on with the task
            is_dead = isinstance(error, errors.ActorDiedError)
            what = "the worker died" if is_dead else f"the worker failed, {type(error).__name__}"
            return lost(task, f"{what}: {_one_line(error)}")
        if outcome.worker_ends:
            self._kill(actor)
        else:
            self._idle.append(actor)
        return outcome

    def _kill(self, actor: Any) -> None:
        with suppress(self._ray.exceptions.RayError):  # it is dead, or nothing of it is known
            self._ray.kill(actor)


def _cannot_start(error: Exception) -> ExecutorError:
    return ExecutorError(
        f"a worker cannot start: {_last_line(error)}",
        where="--executor ray",
        fix="install the same lyra-data on every node of the cluster",
    )


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ExecutorError(
            "Ray is not installed", where="--executor ray", fix="pip install 'lyra-data[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:
    try:
        _check_that_it_answers(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise ExecutorError(
            f"no Ray cluster at {address!r}: {_last_line(error)}",
            where="--ray-address",
            fix=START_CLUSTER,
        ) from error


def _check_that_it_answers(address: str) -> None:
    """Fail within seconds where no cluster listens; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
