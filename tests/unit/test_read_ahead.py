from __future__ import annotations

import threading

import pytest

from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.read_ahead import ReadAhead


def test_the_next_steps_are_read_while_one_is_taken_and_no_more_than_so_many():
    read, reached = [], threading.Semaphore(0)

    def read_step(step: int) -> int:
        read.append(step)
        reached.release()
        return 10 * step

    ahead = ReadAhead(read_step, num_steps=100, num_ahead=2)
    assert ahead.take(0) == 0
    for _ in range(3):
        assert reached.acquire(timeout=10)  # steps 1 and 2 without being asked for
    assert read == [0, 1, 2]
    assert not reached.acquire(timeout=0.05)  # and not step 3
    assert ahead.take(1) == 10
    assert reached.acquire(timeout=10)
    assert read == [0, 1, 2, 3]
    ahead.close()


def test_all_steps_are_read_once_in_order_by_one_thread_and_none_beyond_the_last():
    read, threads = [], set()

    def read_step(step: int) -> int:
        read.append(step)
        threads.add(threading.get_ident())
        return step

    ahead = ReadAhead(read_step, num_steps=6)
    assert [ahead.take(step) for step in range(6)] == list(range(6))
    ahead.close()
    assert read == list(range(6))
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_an_error_is_raised_where_its_step_is_taken_and_the_steps_before_it_are_given():
    def read_step(step: int) -> int:
        if step == 2:
            raise ValueError("step 2 cannot be read")
        return step

    ahead = ReadAhead(read_step, num_steps=5)
    assert [ahead.take(0), ahead.take(1)] == [0, 1]
    with pytest.raises(ValueError, match="step 2"):
        ahead.take(2)
    ahead.close()


def test_a_step_out_of_order_is_given_too():
    ahead = ReadAhead(lambda step: step, num_steps=10)
    assert [ahead.take(step) for step in (7, 0, 0, 9)] == [7, 0, 0, 9]
    ahead.close()


def test_parts_that_were_not_used_for_longest_go_first():
    cache: PartCache[str] = PartCache(10)
    cache.put("a", "A", 4)
    cache.put("b", "B", 4)
    assert cache.get("a") == "A"
    cache.put("c", "C", 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("A", None, "C")
    assert cache.num_bytes == 8


def test_a_part_that_is_put_again_counts_once_and_one_beyond_the_limit_is_not_kept():
    cache: PartCache[str] = PartCache(10)
    for _ in range(5):
        cache.put("a", "A", 4)
    assert cache.num_bytes == 4
    cache.put("large", "L", 11)
    assert "large" not in cache and cache.get("a") == "A"
