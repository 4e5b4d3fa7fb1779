"""The server's clock, which a test can move and let run faster than the real one."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970 as the server counts them.

    Attributes:
        speed: server seconds that pass in a real one: with 3600 an hour's limit is over in a
            second, and Retry-After says so.
    """

    def __init__(self) -> None:
        self.speed = 1.0
        self._start = self._real_start = time.time()

    def now(self) -> float:
        return self._start + (time.time() - self._real_start) * self.speed

    def advance(self, seconds: float) -> None:
        self._start += seconds

    def run_at(self, speed: float) -> None:
        self._start, self._real_start, self.speed = self.now(), time.time(), speed

    def real_seconds(self, seconds: float) -> int:
        """Return how many whole real seconds a client waits until so many have passed here."""
        return max(math.ceil(seconds / self.speed), 1)


def written(seconds: float) -> str:
    """Return a time as the Hub writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
