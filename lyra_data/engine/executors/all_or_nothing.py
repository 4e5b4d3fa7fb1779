"""Work of commands that give one result of all their tasks: a check, a conversion, a report.

A command without records of failures ends at the first thing that its user can mend, whoever meets
it. A task whose worker died is tried once more when all others are done, as in every queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lyra_data.engine.errors import InputError
from lyra_data.engine.executors.base import Executor, Outcome
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.failures import check_failures
from lyra_data.engine.progress import Progress

AGAIN = (
    "run it again, and what is finished is not done again; where workers are short of memory, "
    "take fewer"
)


class AllOrNothing:
    """Work that ends the run where a task's input cannot be used.

    Args:
        do: does one task and returns its small result, which is not None.
    """

    def __init__(self, do: Callable[[Any], Any]) -> None:
        self._do = do

    def do(self, task: Any) -> Outcome:
        """Do one task."""
        try:
            return Outcome("done", result=self._do(task))
        except InputError as error:
            return Outcome("stopped", error=error)


def results_of_all(queue: TaskQueue, executor: Executor, progress: Progress) -> list[Any]:
    """Do all tasks of a queue; return their results in the order of the tasks' numbers.

    Raises:
        LyraError: what a task met, as it was raised where the task was done.
        ScenesFailedError: the workers of a task died twice, or a fault of the program.
        ExecutorError: see `Executor.run`.
    """
    done = queue.run(executor, progress)
    failures = list(done.failures.values())
    total = len(failures) if done.is_hopeless else queue.total
    check_failures(failures, total, 0.0, fix=AGAIN)
    progress.finish()
    return list(done.results.values())
