"""Small publications for tests, and what runs them against the test Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lyra_data.engine.progress import Progress, silent
from lyra_data.hub.retries import Clock
from lyra_data.sharing.publishing import Publication, Receipt, file_of_bytes, plan, publish
from tests.hub.server import TOKEN, HubState, client_pointed_at

NAME = "lab/scenes"
KEY = f"datasets/{NAME}"
CARD = b"---\nlicense: cc-by-4.0\n---\n# Scenes\n"


def publication(files: Mapping[str, bytes], **changed: Any) -> Publication:
    """Return a dataset's publication of files given by their bytes, with a card."""
    contents = {"README.md": CARD, **files}
    settings: dict[str, Any] = {
        "repository": NAME,
        "repository_type": "dataset",
        "tag": "v1.0.0",
        "licence": "CC-BY-4.0",
        "message": "Scenes",
    }
    given = tuple(file_of_bytes(path, data) for path, data in contents.items())
    return Publication(files=given, **settings | changed)


def many_files(count: int, *, seed: str = "") -> dict[str, bytes]:
    """Return small files of both kinds: large ones for the store, and texts inside commits."""
    files = {}
    for number in range(count):
        digest = hashlib.sha256(f"{seed}{number}".encode()).digest()
        suffix = "txt" if number % 10 == 9 else "parquet"
        files[f"data/{number // 200:02}/{number:04}.{suffix}"] = digest * (8 + number % 5)
    return files


@dataclass
class Publisher:
    """Publishes from this process, on the test Hub's time: nothing really waits."""

    state: HubState
    scratch: Path
    lines: list[str] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(self.state.clock.now, self.state.clock.advance)

    def __call__(self, publication: Publication, progress: Progress = silent) -> Receipt:
        return publish(publication, state=self.scratch, progress=progress, clock=self.clock)

    def plan(self, publication: Publication):
        return plan(publication, state=self.scratch, clock=self.clock)

    def held(self, revision: str = "main", key: str = KEY) -> dict[str, bytes]:
        files = self.state.files(key, revision)
        files.pop(".gitattributes", None)
        return files

    def requests(self, words: str) -> list[str]:
        """Return "METHOD /path" of all requests so far that hold `words`."""
        asked = [f"{item.method} {item.path}" for item in self.state.records.requests]
        return [line for line in asked if words in line]


@contextmanager
def publisher(state: HubState, endpoint: str, folder: Path, **client: Any) -> Iterator[Publisher]:
    """Yield a publisher whose Hub is at `endpoint`."""
    settings: dict[str, Any] = {"token": TOKEN} | client
    with client_pointed_at(endpoint, folder / "home", **settings):
        yield Publisher(state, folder / "scratch")


def contents(publication: Publication) -> dict[str, bytes]:
    """Return the bytes of a publication's files by path."""
    return {
        file.path: file.source if isinstance(file.source, bytes) else file.source.read_bytes()
        for file in publication.files
    }
