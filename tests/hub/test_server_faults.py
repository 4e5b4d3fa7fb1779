"""The test Hub's storage, limits, records and faults, asked by the real client in this process."""

from __future__ import annotations

import hashlib

import httpx2
import pytest
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from tests.hub.conftest import KEY, NAME, ROWS, commit, status_of
from tests.hub.server import HubState, running_hub


def test_bytes_with_another_hash_are_refused(api, scenes):
    scenes.faults.add("alter_request", "PUT /lfs/upload")
    with pytest.raises(RuntimeError) as caught:
        commit(api, {"b.parquet": ROWS[1:]})
    assert isinstance(caught.value.__cause__, BadRequestError)
    assert "b.parquet" not in scenes.files(KEY)
    commit(api, {"b.parquet": ROWS[1:]})
    assert scenes.files(KEY)["b.parquet"] == ROWS[1:]


def test_a_large_file_comes_in_parts(api, scenes):
    scenes.multipart_from, scenes.part_bytes = 1000, 3000
    commit(api, {"b.bin": ROWS})
    assert scenes.files(KEY)["b.bin"] == ROWS
    uploads = [r for r in scenes.records.requests if r.path.startswith("/lfs/part")]
    assert len(uploads) == 0  # its content was here already
    commit(api, {"b.bin": ROWS + b"1"})
    uploads = [r for r in scenes.records.requests if r.path.startswith("/lfs/part")]
    assert len(uploads) == 4
    assert scenes.files(KEY)["b.bin"] == ROWS + b"1"


def test_the_range_that_is_asked_for_is_sent_and_counted(api, scenes):
    url = f"{api.endpoint}/datasets/{NAME}/resolve/main/data/a.parquet"
    answer = httpx2.get(url, headers={"Range": "bytes=10-19"}, follow_redirects=True)
    assert (answer.status_code, answer.content) == (206, ROWS[10:20])
    assert answer.headers["Content-Range"] == f"bytes 10-19/{len(ROWS)}"
    tail = httpx2.get(url, headers={"Range": "bytes=-5"}, follow_redirects=True)
    assert tail.content == ROWS[-5:]
    assert scenes.records.total_served(KEY) == 15
    beyond = httpx2.get(url, headers={"Range": "bytes=99999-"}, follow_redirects=True)
    assert beyond.status_code == 416


def test_finished_bytes_that_come_again_are_counted(api, scenes):
    data = b"some bytes"
    name = hashlib.sha256(data).hexdigest()
    for _ in range(2):
        answer = httpx2.put(f"{scenes.storage}/lfs/upload/{name}", content=data)
        assert answer.status_code == 200
    assert scenes.records.received[name] == 2 * len(data)
    assert dict(scenes.records.resent) == {name: len(data)}


def test_limits_are_kept_and_end_with_time(api, scenes):
    scenes.limits.commits_an_hour = 3
    commit(api, {"a.txt": b"a"})
    with pytest.raises(HfHubHTTPError) as caught:
        commit(api, {"b.txt": b"b"})
    assert caught.value.response.status_code == 429
    assert 3500 < int(caught.value.response.headers["Retry-After"]) <= 3600
    scenes.clock.advance(3600)
    commit(api, {"b.txt": b"b"})
    assert scenes.records.most_commits_an_hour() == 3
    scenes.limits.files_a_commit = 1
    assert status_of(lambda: commit(api, {"c.txt": b"c", "d.txt": b"d"})) == 413


def test_calls_in_five_minutes_are_limited(api, scenes):
    scenes.limits.calls = 3
    for _ in range(3):
        api.dataset_info(NAME)
    with pytest.raises(HfHubHTTPError, match="'api' rate limit") as caught:
        api.dataset_info(NAME)
    assert 250 < int(caught.value.response.headers["Retry-After"]) <= 300
    scenes.clock.run_at(1000)  # what is left of 300 s is over in a real one
    answer = httpx2.get(f"{api.endpoint}/api/datasets/{NAME}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    scenes.clock.advance(300)
    api.dataset_info(NAME)
    assert scenes.records.most_calls_in_five_minutes() == 3


@pytest.mark.parametrize("kind", ["cut_request", "lose_answer", "cut_answer", "status"])
def test_a_fault_fails_a_commit_and_only_a_lost_answer_was_applied(api, scenes, kind):
    scenes.faults.add(kind, "POST .*/commit/", num_bytes=10, status=503)
    heads = len(scenes.records.heads(KEY))
    with pytest.raises((httpx2.TransportError, HfHubHTTPError)):
        commit(api, {"b.txt": b"b"})
    is_applied = kind in ("lose_answer", "cut_answer")
    assert len(scenes.records.heads(KEY)) - heads == is_applied
    commit(api, {"b.txt": b"b"})
    assert scenes.files(KEY)["b.txt"] == b"b"


def test_an_upload_that_was_cut_counts_what_arrived(api, scenes):
    scenes.faults.add("cut_request", "PUT /lfs", num_bytes=5_000_000, times=1)
    data = bytes(12_000_000)
    commit(api, {"b.bin": data})  # the client tries again by itself
    name = hashlib.sha256(data).hexdigest()
    assert len(data) < scenes.records.received[name] < 2 * len(data)
    assert scenes.records.finished[name] == 1 and not scenes.records.resent
    assert [r.status for r in scenes.records.requests if r.method == "PUT"] == [0, 200]


def test_random_faults_depend_on_the_seed_and_not_on_the_order():
    def outcomes(seed: int, requests: list[str]) -> dict[str, list[bool]]:
        state = HubState(seed=seed)
        state.faults.add("status", chance=0.5, times=None)
        drawn: dict[str, list[bool]] = {}
        for request in requests:
            drawn.setdefault(request, []).append(bool(state.faults.drawn(request)))
        return drawn

    requests = [f"GET /{number}" for number in range(40)] * 2
    assert outcomes(1, requests) == outcomes(1, sorted(requests))
    assert outcomes(1, requests) != outcomes(2, requests)


def test_the_n_th_request_can_fail(api, scenes):
    scenes.faults.add("status", "GET /api/datasets/lab", status=500, after=1)
    api.dataset_info(NAME)
    assert status_of(lambda: api.dataset_info(NAME)) == 500
    api.dataset_info(NAME)


def test_a_refusal_for_a_while_and_a_slow_answer_are_waited_for(api, scenes):
    path = "GET /api/datasets/lab/scenes/tree"
    scenes.faults.add("status", path, status=429, retry_after=1)
    scenes.faults.add("slow", path, after=1, seconds=0.3)
    names = [entry.path for entry in api.list_repo_tree(NAME, repo_type="dataset")]
    assert names == [".gitattributes", "README.md", "data"]
    refused, answered = (it for it in scenes.records.requests if "/tree/" in it.path)
    assert (refused.status, answered.status) == (429, 200)
    assert answered.time - refused.time >= 1 and answered.seconds >= 0.3


def test_a_mistake_of_the_server_fails_the_test_that_meets_it():
    state = HubState()

    class BrokenContents:
        def __getattr__(self, name: str):
            raise ZeroDivisionError(name)

    state.add(NAME, {"a.txt": b"a"}, kind="dataset")
    state.contents = BrokenContents()  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError), running_hub(state) as endpoint:
        assert httpx2.get(f"{endpoint}/datasets/{NAME}/resolve/main/a.txt").status_code == 500
