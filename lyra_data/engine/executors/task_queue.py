"""The queue of a stage: tasks are done, retried and recorded the same way in all stages."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from lyra_data.engine.executors.base import Executor, KeyedTask, Outcome, State, Task
from lyra_data.engine.executors.failed_tasks import FailedTasks, is_tried_again
from lyra_data.engine.failures import Failure
from lyra_data.engine.progress import Progress

log = logging.getLogger(__name__)


@dataclass
class QueueResults:
    """Collects what became of tasks, by their numbers and, at the end, in that order.

    Attributes:
        counts: how many tasks ended in which state; those of tasks that are tried again not yet.
        results: what tasks returned, where they returned anything.
        failures: why tasks failed, in earlier runs or in this one.
        is_hopeless: nothing at all went well, and the rest was given up.
    """

    counts: Counter[State] = field(default_factory=Counter)
    results: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    is_hopeless: bool = False

    def sort(self) -> None:
        """Order results and failures as the plan has their tasks."""
        self.results = dict(sorted(self.results.items()))
        self.failures = dict(sorted(self.failures.items()))


@dataclass(frozen=True)
class TaskQueue:
    """Holds tasks of one kind, and says what is done about those that fail.

    A task whose worker died is tried once more when all others are done: not at once, so that one
    that kills its workers holds up no other.

    Attributes:
        tasks: taken when a worker is free, so they may be made on the way.
        total: how many there are.
        activity: what the progress bar says, e.g. "Generating".
        noun: what one task makes, e.g. "view".
        failed: where failures are recorded by the keys of tasks, which then are KeyedTasks; None:
            every run tries every task.
        retry_failed: try those again whose workers died too often.
        hopeless_after: give up after so many new failures if nothing went well; None: never.
    """

    tasks: Iterable[Task]
    total: int
    activity: str
    noun: str
    failed: FailedTasks | None = None
    retry_failed: bool = False
    hopeless_after: int | None = None

    def run(self, executor: Executor, progress: Progress) -> QueueResults:
        """Work through all tasks.

        Raises:
            Exception: what stops the run, as it was raised where the task was done.
            ExecutorError: see `Executor.run`.
        """
        results = QueueResults()
        again: list[Task] = []
        progress.start(self.activity, self.total, f"{self.noun}s")
        try:
            for task, outcome in self._in_two_rounds(executor, again):
                if outcome.error is not None:
                    raise outcome.error
                if self._take(task, outcome, results):
                    again.append(task)
                else:
                    results.counts[outcome.state] += 1
                    progress.advance(note=_note(task.name, len(results.failures)))
                if self._is_hopeless(results):
                    log.warning(
                        "the first %d %ss all failed: giving up", len(results.failures), self.noun
                    )
                    results.is_hopeless = True
                    break
        finally:
            results.sort()
            if self.failed is not None:
                self.failed.write_list(list(results.failures.values()))
        return results

    def _in_two_rounds(
        self, executor: Executor, again: list[Task]
    ) -> Iterator[tuple[Task, Outcome]]:
        """Yield every task's outcome, then that of each task put into `again` by then."""
        for tasks in (self.tasks, again):
            yield from executor.run(tasks)

    def _take(self, task: Task, outcome: Outcome, results: QueueResults) -> bool:
        """Keep an outcome; return whether its task is to be tried again in this run."""
        is_first = results.failures.pop(task.number, None) is None
        if outcome.result is not None:
            results.results[task.number] = outcome.result
        failure = self._recorded(task, outcome)
        if failure is None:
            return False
        results.failures[task.number] = failure
        may_do_well = self.failed is None or self.retry_failed or is_tried_again(failure)
        comes_again = outcome.state == "lost" and is_first and may_do_well
        if comes_again:
            log.warning("%s %s is tried again: %s", self.noun, task.name, failure.reason)
        elif outcome.state != "failed_before":
            # The bar counts it, and the end of the run tells it with its fix.
            log.info("%s %s failed: %s", self.noun, task.name, failure.reason)
        return comes_again

    def _recorded(self, task: Task, outcome: Outcome) -> Failure | None:
        """Record why a task failed, or that it did well; return the failure as recorded."""
        failure = outcome.failure
        if self.failed is None:
            if outcome.traceback:
                log.error("%s %s:\n%s", self.noun, task.name, outcome.traceback)
            return failure
        key = cast(KeyedTask, task).key
        if outcome.state == "done":
            self.failed.forget(key)
        if failure is None or outcome.state == "failed_before":
            return failure
        if outcome.state == "lost":
            return self.failed.put_lost(key, failure)
        return self.failed.put(key, failure, outcome.traceback)

    def _is_hopeless(self, results: QueueResults) -> bool:
        went_well = results.counts["done"] + results.counts["found"]
        num_new = len(results.failures) - results.counts["failed_before"]
        return self.hopeless_after is not None and not went_well and num_new >= self.hopeless_after


def _note(name: str, num_failed: int) -> str:
    return f"{num_failed} failed, {name}" if num_failed else name
