"""Shares: a stage's tasks dealt out to machines that know nothing of one another.

Each machine does its share and keeps what it made in the scratch store; a run of the whole stage
then finds all of it, makes what is missing, and puts the result together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lyra_data.engine.errors import InputError
from lyra_data.engine.executors.task_queue import QueueResults
from lyra_data.engine.failures import Failure

MOST_SHARES = 1_000_000
"""More machines than anyone has: a larger number is a slip."""


@dataclass(frozen=True)
class Share:
    """One of several shares of a stage's tasks.

    Attributes:
        index: 1 to `count`.
        count: how many shares there are.
    """

    index: int
    count: int

    @staticmethod
    def parse(text: str) -> Share:
        """Read K/N, e.g. "3/8".

        Raises:
            InputError: it is no such pair, or K is not among 1 to N.
        """
        match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
        if match is None:
            raise InputError(
                f"{text!r} is no share",
                where="--shard",
                fix="give K/N, e.g. 1/8 for the first of 8",
            )
        index, count = int(match[1]), int(match[2])
        if not 1 <= count <= MOST_SHARES:
            raise InputError(
                f"there are no {count} shares",
                where=f"--shard {text}",
                fix=f"give K/N with N from 1 to {MOST_SHARES}",
            )
        if not 1 <= index <= count:
            raise InputError(
                f"share {index} is none of {count}",
                where=f"--shard {text}",
                fix=f"count them from 1 to {count}; of a Slurm array: --array=1-{count}",
            )
        return Share(index, count)

    def holds(self, position: int) -> bool:
        """Return whether the task at a position of the stage's plan is this share's.

        Every share has each N-th position, so that shares differ by one task at most where
        positions count up from 0.
        """
        return position % self.count == self.index - 1

    def size_of(self, total: int) -> int:
        """Return how many of the positions 0 to before `total` are this share's."""
        return len(range(self.index - 1, total, self.count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True)
class ShareResults:
    """Counts what became of a share.

    Attributes:
        total: tasks of the whole stage.
        size: tasks of this share.
        made, found: tasks done now, and found finished.
        failures: why others failed.
        finished: tasks of the whole stage that are finished by now, as far as this machine can
            see; None where it cannot say.
    """

    share: Share
    total: int
    size: int
    made: int
    found: int
    failures: Sequence[Failure] = ()
    finished: int | None = None

    @staticmethod
    def of(
        share: Share,
        total: int,
        size: int,
        results: QueueResults,
        failures: Sequence[Failure],
        *,
        finished: int | None = None,
    ) -> ShareResults:
        """Return the counts of a queue that has done a share's tasks."""
        made, found = results.counts["done"], results.counts["found"]
        return ShareResults(share, total, size, made, found, tuple(failures), finished)
