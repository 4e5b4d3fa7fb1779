"""Fixtures: a Hub that runs while a test does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.server import HubState, running_hub


@pytest.fixture
def hub_state() -> HubState:
    return HubState(seed=1)


@pytest.fixture
def hub(hub_state: HubState) -> Iterator[str]:
    """The endpoint of a Hub that serves `hub_state`."""
    with running_hub(hub_state) as endpoint:
        yield endpoint
