"""Fixtures: a Hub that runs while a test does, a client of it, and a dataset on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.hub.publications import Publisher, publisher
from tests.hub.server import TOKEN, HubState, client_pointed_at, running_hub

NAME = "lab/scenes"
KEY = f"datasets/{NAME}"
CARD = b"---\nlicense: cc-by-4.0\ntags: [video]\n---\n# Scenes\n"
ROWS = bytes(range(256)) * 40


@pytest.fixture
def hub_state() -> HubState:
    return HubState(seed=1)


@pytest.fixture
def hub(hub_state: HubState) -> Iterator[str]:
    """The endpoint of a Hub that serves `hub_state`."""
    with running_hub(hub_state) as endpoint:
        yield endpoint


@pytest.fixture
def api(hub: str, tmp_path: Path) -> Iterator[HfApi]:
    """The real client of this process, pointed at the Hub."""
    with client_pointed_at(hub, tmp_path / "home", token=TOKEN):
        yield HfApi()


@pytest.fixture
def scenes(hub_state: HubState) -> HubState:
    """The Hub with a dataset on it."""
    hub_state.add(NAME, {"README.md": CARD, "data/a.parquet": ROWS}, kind="dataset")
    return hub_state


def additions(files: dict[str, bytes]) -> list[CommitOperationAdd]:
    return [CommitOperationAdd(name, data) for name, data in files.items()]


def commit(api: HfApi, files: dict[str, bytes], **options: Any) -> Any:
    return api.create_commit(
        NAME, additions(files), commit_message="more", repo_type="dataset", **options
    )


def status_of(call: Callable[[], object]) -> int:
    """Return the status of the error that a call raises."""
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    return caught.value.response.status_code


@pytest.fixture
def run(hub: str, hub_state: HubState, tmp_path: Path) -> Iterator[Publisher]:
    """What publishes from this process to the Hub."""
    with publisher(hub_state, hub, tmp_path) as running:
        yield running
