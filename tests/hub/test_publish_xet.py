"""Publishing by Xet, the way of the Hub's client where hf_xet is installed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyra_data.hub.errors import UploadError
from lyra_data.hub.retries import HubUnavailableError
from lyra_data.hub.upload_errors import of_xet_client
from lyra_data.sharing.publishing import changes
from tests.hub.publications import KEY, Publisher, contents, many_files, publication, publisher
from tests.hub.server import HubState
from tests.hub.test_publish_faults import KillAfter, KilledError

DATA = random.Random(1).randbytes(300_000)


@pytest.fixture
def run(hub: str, hub_state: HubState, tmp_path: Path, monkeypatch) -> Iterator[Publisher]:
    monkeypatch.setattr(changes, "FILES_A_COMMIT", 10)
    with publisher(hub_state, hub, tmp_path, xet=True) as running:
        yield running


def test_a_version_goes_by_xet_and_comes_back_the_same(run, hub_state):
    ours = publication({"a.parquet": DATA, **many_files(25)})
    run(ours)
    assert run.held() == run.held("v1.0.0") == contents(ours)
    assert run.requests("/xorbs/") and not run.requests("/lfs/")


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_killed_run_is_finished_and_no_finished_file_is_sent_again(run, hub_state, steps):
    ours = publication({"a.parquet": DATA, **many_files(25)})
    for _ in range(2):
        try:
            run(ours, KillAfter(steps))
        except KilledError:
            assert [len(main) for main in hub_state.records.heads(KEY, "main")][1:] in ([], [28])
    run(ours)
    assert run.held() == contents(ours)
    assert hub_state.records.resent == {}


def test_the_next_version_sends_what_is_new_of_a_file(run, hub_state):
    run(publication({"a.parquet": DATA}))
    before = sum(hub_state.records.received.values())
    run(publication({"a.parquet": DATA + b"a little more"}, tag="v1.1.0"))
    assert sum(hub_state.records.received.values()) - before < len(DATA) / 2
    assert run.held()["a.parquet"] == DATA + b"a little more"


def test_a_store_that_refuses_is_told(run, hub_state):
    hub_state.faults.add("status", "/xet-write-token/", status=403, times=None)
    with pytest.raises(UploadError, match="403 Forbidden") as caught:
        run(publication({"a.parquet": DATA}))
    assert "write access" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError("HTTP status client error (403 Forbidden), domain: x"), UploadError),
        (ConnectionError("HTTP status client error (413 Too Large), domain: x"), UploadError),
        (PermissionError("no"), UploadError),
        (
            ConnectionError("HTTP status client error (429 Too Many), domain: x"),
            HubUnavailableError,
        ),
        (ConnectionError("HTTP status server error (500 Internal)"), HubUnavailableError),
        (ConnectionError("Network error: connection reset"), HubUnavailableError),
    ],
)
def test_errors_of_the_xet_client_are_refusals_or_are_tried_again(error, kind):
    assert type(of_xet_client(error, "page")) is kind
