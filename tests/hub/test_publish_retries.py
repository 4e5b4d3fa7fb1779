"""Waiting for the Hub: how long, how often, and when no longer."""

from __future__ import annotations

import pytest

from lyra_data.hub.retries import Clock, HubUnavailableError, Retries, seconds_asked


class Time:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.sleep)


def failing(times: int | None, **settings):
    """Return a request that fails so often (None: always) before it gives 7."""
    tries: list[int] = []

    def request() -> int:
        tries.append(1)
        if times is None or len(tries) <= times:
            raise HubUnavailableError("the Hub answers 503", **settings)
        return 7

    return request, tries


def test_waits_double_up_to_a_minute_and_a_half_of_each_is_drawn():
    time = Time()
    assert Retries("a", clock=time.clock).call(failing(9)[0]) == 7
    longest = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(most / 2 <= wait <= most for wait, most in zip(time.waits, longest, strict=True))


def test_the_same_seed_waits_the_same_and_another_differently():
    waits = []
    for seed in ("a", "a", "b"):
        time = Time()
        Retries(seed, clock=time.clock).call(failing(5)[0])
        waits.append(time.waits)
    assert waits[0] == waits[1] != waits[2]


def test_what_the_hub_asks_for_is_waited_and_hardly_more():
    time = Time()
    Retries("a", clock=time.clock).call(failing(2, asked_seconds=300.0)[0])
    assert all(300 <= wait <= 301 for wait in time.waits)


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [
        ({}, 14 * 60, 15 * 60),
        ({"is_reached": False}, 20, 60),
        ({"asked_seconds": 3000.0}, 6000, 7200),
        ({"asked_seconds": 9000.0}, 0, 0),
    ],
)
def test_patience_ends(settings, least, most):
    time = Time()
    with pytest.raises(HubUnavailableError):
        Retries("a", clock=time.clock).call(failing(None, **settings)[0])
    assert least <= sum(time.waits) <= most


def test_a_hub_that_answered_before_is_given_longer():
    time = Time()
    retries = Retries("a", clock=time.clock)
    retries.call(lambda: 1)
    with pytest.raises(HubUnavailableError):
        retries.call(failing(None, is_reached=False)[0])
    assert sum(time.waits) > 600


def test_other_errors_are_not_tried_again():
    def request() -> None:
        tries.append(1)
        raise KeyError("a mistake")

    tries: list[int] = []
    with pytest.raises(KeyError):
        Retries("a").call(request)
    assert len(tries) == 1


def test_an_error_that_wraps_ours_is_tried_again():
    def request() -> int:
        try:
            return inner()
        except HubUnavailableError as error:
            raise RuntimeError("Error while uploading 'a'") from error

    inner, tries = failing(1)
    assert Retries("a", clock=Time().clock).call(request) == 7
    assert len(tries) == 2


def test_a_change_that_took_effect_is_not_made_again():
    request, tries = failing(None)
    assert Retries("a", clock=Time().clock).call(request, lambda: 5) == 5
    assert len(tries) == 1


def test_each_wait_is_told():
    lines: list[str] = []
    Retries("a", report=lines.append, clock=Time().clock).call(failing(1)[0])
    assert lines == ["the Hub answers 503: trying again in 1 s"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"Retry-After": "Mon, 12 Jan 1970 13:48:20 GMT"}, 100),
        ({"Retry-After": "Mon, 12 Jan 1970 13:40:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "²"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"RateLimit": "nonsense;=;r"}, None),
        ({}, None),
    ],
)
def test_headers_that_ask_to_wait(headers, seconds):
    assert seconds_asked(headers, now=1_000_000.0) == seconds
