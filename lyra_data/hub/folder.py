"""Read parts of the files below a folder of a repository, at one commit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from lyra_data.hub.errors import PATHS
from lyra_data.hub.ranges import HubRanges

_ADDRESS = re.compile(
    r"hf://(?P<kind>datasets/|spaces/|)(?P<repository>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<folder>.*))?"
)


@dataclass(frozen=True)
class HubAddress:
    """A folder of a repository.

    Attributes:
        repository_type: "model", "dataset" or "space".
        revision: a branch, tag or commit; None: main.
        folder: "" for the repository itself.
    """

    repository: str
    repository_type: str
    revision: str | None
    folder: str

    @staticmethod
    def parse(uri: str) -> HubAddress | None:
        """Take hf://datasets/OWNER/NAME@REVISION/FOLDER apart; None: it is of another kind."""
        match = _ADDRESS.fullmatch(uri)
        if match is None or match["repository"].startswith("buckets/"):
            return None
        types = {path: name for name, path in PATHS.items()}
        revision = match["revision"]
        return HubAddress(
            match["repository"],
            types[match["kind"]],
            None if revision is None else unquote(revision),
            (match["folder"] or "").strip("/"),
        )

    def path_of(self, file: str) -> str:
        """Return where a file of the folder lies in the repository."""
        return f"{self.folder}/{file}" if self.folder else file


class HubFolder:
    """The files below an address. What a branch means is settled by the first answer.

    Every method raises DownloadError where the Hub refuses or cannot be reached, and
    FileNotFoundError where there is no file of that name.
    """

    def __init__(self, address: HubAddress, commit: str | None = None) -> None:
        self._address = address
        self._ranges = HubRanges(
            address.repository, address.repository_type, commit or address.revision
        )

    @property
    def commit(self) -> str | None:
        """Return the commit that all files are read at; None before the first answer."""
        return self._ranges.commit

    def keep_unfinished(self, folder: Path) -> None:
        """Keep the bytes of long ranges in `folder` as they arrive, until they are whole."""
        self._ranges.unfinished = folder

    def read_whole(self, file: str) -> bytes:
        """Return a small file."""
        return self._ranges.read_whole(self._address.path_of(file))

    def read_ranges(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return bytes of files, given as (name, first byte, end); less where a file is shorter."""
        path_of = self._address.path_of
        return self._ranges.read_all([(path_of(file), begin, end) for file, begin, end in parts])

    def size(self, file: str) -> int:
        """Return the size of a file in bytes."""
        return self._ranges.size(self._address.path_of(file))
