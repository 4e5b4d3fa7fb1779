"""The record of calls: the Hub's limits hold, over processes and killed runs."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from lyra_data.hub.limits import CALLS, COMMITS, MARGIN_SECONDS, CallRecord, Limit
from tests.hub.test_publish_retries import Time

FIVE = Limit("five", 5, 60.0, "five a minute")


def test_so_many_go_at_once_and_the_next_waits_for_the_window(tmp_path):
    time = Time()
    record = CallRecord(tmp_path, clock=time.clock)
    for _ in range(5):
        record.reserve(FIVE)
        time.seconds += 1
    assert time.waits == []
    record.reserve(FIVE)
    assert sum(time.waits) == 60 + MARGIN_SECONDS - 5


def test_no_window_ever_holds_more(tmp_path):
    time = Time()
    record = CallRecord(tmp_path, clock=time.clock)
    moments = []
    for number in range(40):
        record.reserve(FIVE)
        moments.append(time.seconds)
        time.seconds += number % 7
    for moment in moments:
        assert sum(0 <= other - moment < FIVE.window_seconds for other in moments) <= 5


def test_another_process_and_a_torn_line_change_nothing(tmp_path):
    time = Time()
    for _ in range(5):
        CallRecord(tmp_path, clock=time.clock).reserve(FIVE)
    (file,) = tmp_path.glob("five-*.txt")
    with file.open("a") as lines:
        lines.write("10000")
    CallRecord(tmp_path, clock=time.clock).reserve(FIVE)
    assert sum(time.waits) == 60 + MARGIN_SECONDS


def test_a_clock_that_is_set_back_lifts_no_limit(tmp_path):
    time = Time()
    record = CallRecord(tmp_path, clock=time.clock)
    for _ in range(5):
        record.reserve(FIVE)
    time.seconds -= 30
    record.reserve(FIVE)
    assert sum(time.waits) >= 60


def test_a_clock_that_is_set_back_while_it_waits_prolongs_no_wait_by_as_much(tmp_path):
    time = Time()

    def set_back(line: str) -> None:
        if len(time.waits) == 1:
            time.seconds -= 86_400

    record = CallRecord(tmp_path, report=set_back, clock=time.clock)
    for _ in range(6):
        record.reserve(FIVE)
    assert 60 <= sum(time.waits) <= 2 * FIVE.period_seconds


def test_a_request_of_two_kinds_waits_for_both_and_says_so(tmp_path):
    time, lines = Time(), []
    record = CallRecord(tmp_path, report=lines.append, clock=time.clock)
    one = Limit("one", 1, 600.0, "one in ten minutes")
    record.reserve(FIVE, one)
    record.reserve(FIVE, one)
    assert sum(time.waits) == 610
    assert lines[0] == "one in ten minutes: waiting 10 min"
    assert lines[-1] == "one in ten minutes: waiting 10 s"
    assert record.num_recent(one) == 1


def test_old_files_go(tmp_path):
    time = Time()
    record = CallRecord(tmp_path, clock=time.clock)
    for _ in range(10):
        record.reserve(FIVE)
        time.seconds += 500
    assert len(list(tmp_path.glob("five-*.txt"))) <= 2


def test_the_time_that_a_plan_needs(tmp_path):
    time = Time()
    record = CallRecord(tmp_path, clock=time.clock)
    assert record.seconds_for(COMMITS, 0) == record.seconds_for(COMMITS, 128) == 0
    assert record.seconds_for(COMMITS, 129) == 3610
    assert record.seconds_for(COMMITS, 300) == 2 * 3610
    record.reserve(COMMITS, CALLS)
    assert record.seconds_for(COMMITS, 128) == 3610


def _reserve(folder: Path, times: int) -> None:
    record = CallRecord(folder)
    for _ in range(times):
        record.reserve(Limit("many", 10_000, 600.0, ""))


def test_processes_at_once_lose_no_call(tmp_path):
    context = multiprocessing.get_context("forkserver")
    children = [context.Process(target=_reserve, args=(tmp_path, 50)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert CallRecord(tmp_path).num_recent(Limit("many", 10_000, 600.0, "")) == 150
