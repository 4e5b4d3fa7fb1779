"""Worker: does one task at a time and turns whatever happens into an outcome.

A fault in one task fails that task. What is nobody's fault but the machine's, or concerns all tasks
alike, asks the run to stop. A worker that can do nothing more says so, and is replaced.
"""

from __future__ import annotations

import traceback

from lyra_data.engine.errors import InputError, LyraError
from lyra_data.engine.executors.base import Outcome, Task, WorkSetup, lost
from lyra_data.engine.failures import Failure
from lyra_data.engine.placement import Placement

MOST_IN_A_ROW = 5
"""Faults of the program without a task that went well between; then the worker ends, for what it
has loaded may be broken in a way that no error tells."""


class Worker:
    """Holds what is loaded once, and counts its faults."""

    def __init__(self, setup: WorkSetup, placement: Placement) -> None:
        self._work = setup.build(placement)
        self._faults_in_a_row = 0

    def do(self, task: Task) -> Outcome:
        """Do one task; never raises but for Ctrl-C."""
        try:
            outcome = self._work.do(task)
        except Exception as error:
            return self._outcome_of(error, task)
        if outcome.state == "done":
            self._faults_in_a_row = 0
        return outcome

    def _outcome_of(self, error: Exception, task: Task) -> Outcome:
        if stops_the_run(error):
            return Outcome("stopped", error=_sendable(error))
        if is_end_of_gpu(error):
            return lost(task, f"the GPU failed: {str(error).splitlines()[0]}", worker_ends=True)
        if isinstance(error, InputError):
            failure, lines = Failure.of(task.name, error), []
        else:
            self._faults_in_a_row += 1
            failure = Failure.unexpected(task.name, error)
            lines = traceback.format_exception(error)
        return Outcome(
            "failed",
            failure=failure,
            traceback="".join(lines),
            worker_ends=self._faults_in_a_row >= MOST_IN_A_ROW,
        )


def stops_the_run(error: Exception) -> bool:
    """Return whether further tasks are in vain, or this one would do well once it is mended.

    An InputError is of one task, and a fault of the program may be. All other errors that a user
    can mend, and what the machine refuses, are no property of the task: recorded under its content
    key they would keep it from being tried again.
    """
    if isinstance(error, LyraError):
        return not isinstance(error, InputError)
    return isinstance(error, OSError | MemoryError) or is_memory_refusal(error)


def is_memory_refusal(error: Exception) -> bool:
    """Return whether torch was refused memory, on CPU or GPU: it raises RuntimeErrors for that."""
    message = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in message or "out of memory" in message
    )


def is_end_of_gpu(error: Exception) -> bool:
    """Return whether every later use of the GPU by this process fails too.

    So it is after an illegal access, a memory fault or an assertion on the device; to refuse memory
    is not of that kind (`stops_the_run`).
    """
    import torch

    is_cuda_error = isinstance(error, RuntimeError) and str(error).startswith("CUDA error")
    return is_cuda_error or isinstance(error, torch.AcceleratorError)


def _sendable(error: Exception) -> Exception:
    """Return the error as a kind that is known wherever it is sent: torch has RuntimeErrors of its
    own."""
    return RuntimeError(str(error)) if isinstance(error, RuntimeError) else error
