"""The `ray` executor: workers are actors on an existing Ray cluster.

All nodes need this package and its weights, and see inputs, scratch and outputs at the same paths:
a file system that they share. Only tasks and outcomes travel.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.executors.base import (
    AnyTask,
    Crew,
    Executor,
    Outcome,
    Task,
    WorkSetup,
    lost,
)
from lyra_data.engine.executors.worker import Worker
from lyra_data.engine.placement import Placement

START_CLUSTER = (
    "start one with `ray start --head`, or give the address of its head node; where a cluster "
    "asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on its nodes"
)

SECONDS_TO_CONNECT = 10.0


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
        num_cpus = int(resources.get("CPU", 0)) // num_workers
        if num_cpus < 1:
            raise ExecutorError(
                f"the cluster has {int(resources.get('CPU', 0))} CPUs for {num_workers} workers",
                where="--workers",
                fix="take fewer workers, or add nodes to the cluster",
            )
        actors = Actors(ray, setup, placement, num_workers, num_cpus, num_gpus)
        try:
            yield actors
        finally:
            actors.close()
    finally:
        if is_ours:
            ray.shutdown()


class Actors:
    """Workers as Ray actors, started as tasks come, replaced when they die.

    Args:
        num_cpus: CPUs of one worker; its threads.
        num_gpus: GPUs of the cluster that all workers share.
    """

    def __init__(
        self,
        ray: Any,
        setup: WorkSetup,
        placement: Placement,
        num_workers: int,
        num_cpus: int,
        num_gpus: int,
    ) -> None:
        self._ray = ray
        self._setup = ray.put(setup)
        self._placement = placement
        self._num_workers = num_workers
        self._kind = ray.remote(Worker).options(
            num_cpus=num_cpus,
            num_gpus=min(num_gpus / num_workers, 1),
            max_restarts=0,
            runtime_env={"env_vars": {"NUMBA_NUM_THREADS": str(num_cpus)}},
        )
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[tuple[AnyTask, Outcome]]:
        source = iter(tasks)
        while True:
            for task in islice(source, self._num_workers - len(self._busy)):
                actor = self._idle.pop() if self._idle else self._start()
                self._busy[actor.do.remote(task)] = (actor, task)
            if not self._busy:
                return
            (finished,), _ = self._ray.wait(list(self._busy), num_returns=1)
            actor, task = self._busy.pop(finished)
            yield task, self._outcome(finished, actor, task)  # type: ignore[misc] - one of `tasks`

    def close(self) -> None:
        """End all workers; what they were doing is lost, what they stored is not."""
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            self._kill(actor)
        self._idle, self._busy = [], {}

    def _start(self) -> Any:
        return self._kind.remote(self._setup, self._placement)

    def _outcome(self, finished: Any, actor: Any, task: Task) -> Outcome:
        """Return what the actor answers; one that died is let go, another takes its place.

        Memory, disk, a node or the network may fail under it: Ray has an error of its own for
        each, and most are no RayActorError.
        """
        errors = self._ray.exceptions
        try:
            outcome = self._ray.get(finished)
        except (errors.ActorUnschedulableError, errors.RuntimeEnvSetupError) as error:
            raise _cannot_start(error) from error
        except errors.RayError as error:
            if getattr(error, "actor_init_failed", False):
                raise _cannot_start(error) from error
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
