"""Publishing with the real client against the test Hub: whole versions or none."""

from __future__ import annotations

import pytest

from lyra_data.hub.errors import UploadError
from tests.hub.publications import (
    KEY,
    contents,
    many_files,
    publication,
)

DATA = bytes(range(256)) * 10


def test_a_version_stands_on_main_and_at_its_tag(run, hub_state):
    ours = publication({"data/a.parquet": DATA, "empty.txt": b""}, facts={"dataset_hash": "ab"})
    receipt = run(ours)
    assert run.held() == run.held("v1.0.0") == contents(ours)
    assert receipt.commit == hub_state.repositories[KEY].head
    assert receipt.page == f"{hub_state.endpoint}/{KEY}/tree/v1.0.0"
    assert [file.path for file in receipt.files] == ["README.md", "data/a.parquet", "empty.txt"]
    assert receipt.facts == {"dataset_hash": "ab"}
    assert not hub_state.repositories[KEY].private


def test_few_files_are_one_commit(run, hub_state):
    run(publication({f"{number}.parquet": b"%d" % number for number in range(99)}))
    mains = hub_state.records.heads(KEY, "main")
    assert len(mains) == 2  # the Hub's own first commit, and ours
    assert not hub_state.repositories[KEY].history.discussions


def test_many_files_go_through_a_pull_request_and_main_is_never_half_new(run, hub_state):
    ours = publication(many_files(250))
    run(ours)
    assert run.held() == run.held("v1.0.0") == contents(ours)
    mains = hub_state.records.heads(KEY, "main")
    assert [len(main) for main in mains] == [1, 252]
    (pull_request,) = hub_state.repositories[KEY].history.discussions.values()
    assert pull_request.status == "merged"
    assert len(hub_state.records.heads(KEY, "refs/pr/1")) == 3
    assert list((run.scratch / "publish").glob("*.json")) == []


def test_the_same_version_again_asks_twice_and_changes_nothing(run, hub_state):
    first = run(publication(many_files(120)))
    hub_state.records.clear()
    assert run(publication(many_files(120))) == first
    assert run.requests("") == [f"GET /api/{KEY}/refs", f"GET /api/{KEY}/tree/v1.0.0"]


def test_a_published_version_never_changes(run, hub_state):
    run(publication({"a.parquet": DATA, "b.parquet": DATA}))
    before = hub_state.repositories[KEY].history.tags["v1.0.0"]
    for files in ({"a.parquet": DATA + b"."}, {"a.parquet": DATA}):
        with pytest.raises(UploadError, match="published already with other content"):
            run(publication(files))
    repository = hub_state.repositories[KEY]
    assert repository.history.tags["v1.0.0"] == before == repository.head


@pytest.mark.parametrize("count", [5, 150])
def test_the_next_version_drops_what_is_no_longer_part_of_it(run, hub_state, count):
    run(publication({"old.parquet": DATA, **many_files(count)}))
    hub_state.records.clear()
    run(publication(many_files(count, seed="2"), tag="v1.1.0"))
    assert run.held("v1.1.0") == contents(publication(many_files(count, seed="2")))
    assert "old.parquet" in run.held("v1.0.0")
    assert ".gitattributes" in hub_state.files(KEY)
    assert len(hub_state.records.heads(KEY, "main")) == 1


def test_contents_that_the_hub_holds_are_not_sent_again(run, hub_state):
    run(publication(many_files(150)))
    received = hub_state.records.received.copy()
    run(publication({**many_files(150), "one_more.parquet": DATA}, tag="v1.1.0"))
    new = hub_state.records.received - received
    assert sum(new.values()) == len(DATA)
    assert hub_state.records.resent == {}
