"""Serve a Hub from a thread, and point clients at it: in children, or in this process."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import uvicorn

from tests.goldens import REPOSITORY
from tests.hub.server.application import HubApplication
from tests.hub.server.state import HubState


@contextmanager
def running_hub(state: HubState) -> Iterator[str]:
    """Serve `state` on a free port of 127.0.0.1; yields the endpoint's address."""
    # With the protocol named, asyncio sends each answer at once, not after a delay of 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    state.endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        HubApplication(state),
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    server.force_exit = True  # open connections are not waited for
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield state.endpoint
    finally:
        state.faults.stop.set()
        server.should_exit = True
        thread.join()
        listening.close()
    for failure in state.failures:
        raise failure


def client_environment(
    endpoint: str, home: Path, *, token: str | None = None, xet: bool = False
) -> dict[str, str]:
    """Return the environment of a child whose Hub is at `endpoint`.

    HF_ENDPOINT is read when huggingface_hub is imported, so a child is needed for it.

    Args:
        home: a folder for what the client keeps: caches and tokens.
        xet: whether large files go as xorbs, or by LFS.
    """
    prefixes = ("HF_", "HUGGING", "LYRA_")
    inherited = {name: word for name, word in os.environ.items() if not name.startswith(prefixes)}
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(REPOSITORY),
        "COLUMNS": "80",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    if token is not None:
        settings["HF_TOKEN"] = token
    if not xet:
        settings["HF_HUB_DISABLE_XET"] = "1"
    return inherited | settings


@contextmanager
def client_pointed_at(
    endpoint: str, home: Path, *, token: str | None = None, xet: bool = False
) -> Iterator[None]:
    """Point the huggingface_hub of this process at a Hub, with a home and a token of its own."""
    from huggingface_hub import HfFileSystem, constants, hf_api
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    environment: Mapping[str, str] = {"HF_TOKEN": token} if token is not None else {}
    address = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    HfFileSystem.clear_instance_cache()
    disable_progress_bars()
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.multiple(
            constants,
            ENDPOINT=endpoint,
            HUGGINGFACE_CO_URL_TEMPLATE=address,
            HF_HOME=str(home),
            HF_HUB_CACHE=str(home / "hub"),
            HF_TOKEN_PATH=str(home / "token"),
            HF_XET_CACHE=str(home / "xet"),
            HF_HUB_DISABLE_XET=not xet,
            HF_HUB_DISABLE_TELEMETRY=True,
        ),
        mock.patch.object(hf_api.api, "endpoint", endpoint),
    ):
        if token is None:
            os.environ.pop("HF_TOKEN", None)
        yield
    enable_progress_bars()
    HfFileSystem.clear_instance_cache()
