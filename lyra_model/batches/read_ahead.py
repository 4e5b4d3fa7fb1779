"""Read the next steps' data in a thread while the present step is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Read = TypeVar("Read")

STEPS_AHEAD = 2
"""Steps that are read before they are asked for: one that is ready, one that is being read."""


class ReadAhead(Generic[Read]):
    """Reads steps in their order in one thread, at most `num_ahead` of them before they are taken.

    One thread reads everything, so `read` needs no locks. What it returns must depend on the step
    alone; then it does not matter whether a step was read ahead. An error is raised where the step
    it belongs to is taken.

    Args:
        read: reads a step, counted from 0.
        num_steps: steps of the run; none beyond is read.
        end: called once in the thread, when nothing more is read.

    Attributes:
        seconds_waited: how long `take` has waited for steps that were not ready.
    """

    def __init__(
        self,
        read: Callable[[int], Read],
        *,
        num_steps: int,
        num_ahead: int = STEPS_AHEAD,
        end: Callable[[], None] | None = None,
    ) -> None:
        self.read, self.num_steps, self.num_ahead = read, num_steps, num_ahead
        self._end = end
        self.seconds_waited = 0.0
        self._coming: dict[int, Future[Read]] = {}
        self._thread: ThreadPoolExecutor | None = None

    def take(self, step: int) -> Read:
        """Return the data of a step, and begin to read the steps after it."""
        last = min(step + self.num_ahead, self.num_steps - 1)
        for passed in [other for other in self._coming if not step <= other <= last]:
            self._coming.pop(passed).cancel()
        for number in range(step, max(last, step) + 1):
            if number not in self._coming:
                self._coming[number] = self._submit(number)
        began = time.perf_counter()
        try:
            return self._coming.pop(step).result()
        finally:
            self.seconds_waited += time.perf_counter() - began

    def close(self) -> None:
        """Stop reading; what was read ahead is let go."""
        thread, self._thread = self._thread, None
        for coming in self._coming.values():
            coming.cancel()
        self._coming.clear()
        if thread is not None:
            if self._end is not None:
                thread.submit(self._end)
            thread.shutdown(wait=True)

    def _submit(self, step: int) -> Future[Read]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        return self._thread.submit(self.read, step)
