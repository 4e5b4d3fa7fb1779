"""The Hub's limits on calls and commits, kept over killed runs by a record on disk.

Each request leaves a line before it is sent, in a file of its kind and time; a request waits where
the lines of the window before it are as many as the Hub allows. Lines are only appended, and whole
files go when they are too old to count, so that a process killed at any moment loses none.
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lyra_data.engine.atomic import storage_errors
from lyra_data.hub.retries import Clock

MARGIN_SECONDS = 10.0
"""Added to each window: a request may reach the Hub later than it was sent, the next one sooner."""

SLICE_SECONDS = 30.0
"""A long wait is reported this often."""


@dataclass(frozen=True)
class Limit:
    """A number of requests of one kind in a window of time.

    Attributes:
        name: part of a file's name.
        words: the limit for a reader.
    """

    name: str
    count: int
    window_seconds: float
    words: str

    @property
    def period_seconds(self) -> float:
        return self.window_seconds + MARGIN_SECONDS


COMMITS = Limit("commits", 128, 3600.0, "the Hub takes 128 commits an hour")
CALLS = Limit("calls", 950, 300.0, "the Hub takes 1,000 calls in 5 minutes")
"""50 are left to the Xet client, whose few calls are not seen here, and to a browser."""


class CallRecord:
    """The requests that were made of late.

    Args:
        folder: a folder for this alone.
        report: takes a line whenever it waits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        report: Callable[[str], None] = lambda _line: None,
        clock: Clock | None = None,
    ) -> None:
        self.folder = folder
        self.report = report
        self._clock = clock or Clock()
        self._threads = threading.Lock()

    def reserve(self, *limits: Limit) -> None:
        """Record one request that counts for each of `limits`; wait before, where one is reached.

        Raises:
            StorageError: the record cannot be written.
        """
        while True:
            with self._alone():
                now = self._clock.now()
                waits = {limit: self._wait_seconds(limit, now) for limit in limits}
                if not any(waits.values()):
                    for limit in limits:
                        self._append(limit, now)
                    return
            self._wait(*max(waits.items(), key=lambda item: item[1]))

    def num_recent(self, limit: Limit) -> int:
        """Return how many requests count for a limit now."""
        return len(self._recent(limit, self._clock.now()))

    def seconds_for(self, limit: Limit, count: int) -> float:
        """Return the least time in which `count` more requests can be made, those of late
        counted."""
        now = self._clock.now()
        recent = self._recent(limit, now)
        moments: list[float] = []  # of the requests to come
        for _ in range(count):
            former = (recent + moments)[-limit.count :]
            is_full = len(former) == limit.count
            moments.append(max(now, former[0] + limit.period_seconds) if is_full else now)
        return max(moments[-1] - now, 0.0) if moments else 0.0

    def _wait(self, limit: Limit, seconds: float) -> None:
        """Wait that long by the clock, and never longer than that was slept: a clock that is set
        back meanwhile would have it wait for all that time again."""
        end = self._clock.now() + seconds
        while (left := min(end - self._clock.now(), seconds)) > 0:
            minutes = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
            self.report(f"{limit.words}: waiting {minutes}")
            self._clock.sleep(slept := min(left, SLICE_SECONDS))
            seconds -= slept

    def _wait_seconds(self, limit: Limit, now: float) -> float:
        recent = self._recent(limit, now)
        if len(recent) < limit.count:
            return 0.0
        return recent[-limit.count] + limit.period_seconds - now

    def _recent(self, limit: Limit, now: float) -> list[float]:
        """Return the moments within the window, in order. The clock may have been set back: what
        lies less than a window ahead counts too."""
        number = int(now // limit.period_seconds)
        moments = [
            moment
            for path in (self._file(limit, number + step) for step in (-1, 0, 1))
            for moment in _moments(path)
            if abs(now - moment) < limit.period_seconds
        ]
        return sorted(min(moment, now) for moment in moments)

    def _append(self, limit: Limit, now: float) -> None:
        number = int(now // limit.period_seconds)
        path = self._file(limit, number)
        if not path.exists():
            self._remove_old(limit, number)
        with path.open("a") as file:
            file.write(f"{now:.3f}\n")

    def _remove_old(self, limit: Limit, number: int) -> None:
        kept = {self._file(limit, number + step) for step in (-1, 0, 1)}
        for path in self.folder.glob(f"{limit.name}-*.txt"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def _file(self, limit: Limit, number: int) -> Path:
        return self.folder / f"{limit.name}-{number}.txt"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the record against other threads and processes."""
        with self._threads, storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "lock").open("w") as lock:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(lock, fcntl.LOCK_EX)
                yield


def _moments(path: Path) -> list[float]:
    """Return the moments of a file; none where there is no file, and no half-written line."""
    moments = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                moments.append(float(line))
    return moments
