"""Retries: what the Hub cannot take now is asked again, later and later, and not for ever.

The Hub's client repeats some requests and not others (no commit, no pull request), and knows a
`Retry-After` only in seconds. Here is the one place that repeats: the client's own tries are
passed by, because `client.WatchedClient` raises what it does not repeat.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeVar

from lyra_data.engine.names import is_number

RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
"""Between two tries; the Hub may ask for more."""

UNREACHED_PATIENCE_SECONDS = 60.0
"""Time that is given to a network over which nothing has been heard yet: it may not be there."""

PATIENCE_SECONDS = 15 * 60.0
"""Time that is given to a Hub that answered before."""

ASKED_PATIENCE_SECONDS = 2 * 3600.0
"""Time that is given where the Hub itself says how long to wait: its longest limit is an hour."""

Result = TypeVar("Result")


class HubUnavailableError(Exception):
    """The Hub did not take a request: the connection broke, or it says that it cannot now.

    Args:
        reason: e.g. "it answers 503".
        is_reached: whether anything answered at all.
        asked_seconds: as the Hub asks to wait, where it does.
    """

    def __init__(
        self, reason: str, *, is_reached: bool = True, asked_seconds: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_reached = is_reached
        self.asked_seconds = asked_seconds


def seconds_asked(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an answer's headers ask to wait, or None.

    `Retry-After` is a number of seconds or an HTTP date; the Hub also sends `RateLimit`, whose t
    is the time until its window begins anew, and whose r is what is left in it.

    Args:
        headers: of any case.
        now: seconds since 1970.
    """
    values = {name.lower(): value.strip() for name, value in headers.items()}
    asked = values.get("retry-after", "")
    if is_number(asked):
        return float(asked)
    if asked:
        try:
            return max(parsedate_to_datetime(asked).timestamp() - now, 0.0)
        except (ValueError, OverflowError):
            return None
    fields = dict(
        part.strip().split("=", 1) for part in values.get("ratelimit", "").split(";") if "=" in part
    )
    if fields.get("r") == "0" and is_number(fields.get("t", "")):
        return float(fields["t"])
    return None


def unavailability(error: BaseException | None) -> HubUnavailableError | None:
    """Return the HubUnavailableError that an error is or stems from: the Hub's client wraps
    some."""
    while error is not None and not isinstance(error, HubUnavailableError):
        error = error.__cause__
    return error


@dataclass(frozen=True)
class Clock:
    """Time as this machine has it; tests have another.

    Attributes:
        now: returns seconds since 1970.
        sleep: waits for some seconds.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Retries:
    """Repeats requests.

    Attributes:
        seed: what the random part of the waits is drawn from: the same waits for the same seed.
        report: takes a line whenever it waits.
        unreached_patience_seconds: how long a first answer is waited for.
        has_reached: whether the Hub has answered anything yet.
    """

    seed: str
    report: Callable[[str], None] = field(default=lambda _line: None)
    clock: Clock = field(default_factory=Clock)
    unreached_patience_seconds: float = UNREACHED_PATIENCE_SECONDS
    has_reached: bool = False

    def call(
        self,
        request: Callable[[], Result],
        applied: Callable[[], Result | None] | None = None,
    ) -> Result:
        """Return what `request` returns, which is repeated while the Hub is not available.

        Args:
            applied: for a request that changes something: returns its result where it has taken
                effect although its answer was lost, else None. It is asked before each repetition.

        Raises:
            HubUnavailableError: the last one, when patience is at its end.
        """
        began = self.clock.now()
        attempt = 0
        while True:
            try:
                result = request()
                self.has_reached = True
                return result
            except Exception as error:
                unavailable = unavailability(error)
                if unavailable is None:
                    self.has_reached = True
                    raise
            self.has_reached |= unavailable.is_reached
            seconds = self._wait_seconds(attempt, unavailable)
            if self.clock.now() - began + seconds > self._patience(unavailable):
                raise unavailable
            self.report(f"{unavailable.reason}: trying again in {seconds:.0f} s")
            self.clock.sleep(seconds)
            attempt += 1
            if applied is not None and (result := applied()) is not None:
                return result

    def _wait_seconds(self, attempt: int, unavailable: HubUnavailableError) -> float:
        """Return the wait: as asked and a little more, or twice the former, of which a random half
        is left out: many clients must not come back at once."""
        draw = random.Random(f"{self.seed}:{attempt}").random()
        if unavailable.asked_seconds is not None:
            return unavailable.asked_seconds + draw
        longest = min(FIRST_WAIT_SECONDS * 2 ** min(attempt, 16), LONGEST_WAIT_SECONDS)
        return longest * (0.5 + draw / 2)

    def _patience(self, unavailable: HubUnavailableError) -> float:
        if unavailable.asked_seconds is not None:
            return ASKED_PATIENCE_SECONDS
        return PATIENCE_SECONDS if self.has_reached else self.unreached_patience_seconds
