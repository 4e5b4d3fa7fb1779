"""Executors: where the workers of a stage live. They change how long it takes, not its results."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager

from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.executors.base import Crew, Executor, WorkSetup
from lyra_data.engine.params import suggestion

EXECUTORS = {
    "local": "lyra_data.engine.executors.local:open_local",
    "ray": "lyra_data.engine.executors.ray:open_ray",
}
"""No component of params.yaml: the choice is a command-line option, like workers and devices."""


def open_executor(setup: WorkSetup, crew: Crew) -> AbstractContextManager[Executor]:
    """Open the executor that the crew names; its workers end with the block.

    Raises:
        ExecutorError: it is unknown, not installed, not reachable, or its workers cannot start.
    """
    if crew.executor not in EXECUTORS:
        raise ExecutorError(
            f"unknown executor {crew.executor!r}",
            where="--executor",
            fix=suggestion(crew.executor, list(EXECUTORS)),
        )
    if crew.workers is not None and crew.workers < 1:
        raise ExecutorError(
            f"{crew.workers} workers do no work", where="--workers", fix="take 1 or more"
        )
    module, _, function = EXECUTORS[crew.executor].partition(":")
    return getattr(importlib.import_module(module), function)(setup, crew)
