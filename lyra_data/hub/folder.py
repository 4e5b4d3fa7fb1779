"""Read parts of a repository's files, at one commit, without fetching the files."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import RemoteEntryNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

from lyra_data.hub.errors import PATHS, hub_errors
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


class HubFolder:
    """The files below an address. What main means is settled by the first answer.

    Attributes:
        commit: that all files are read at; None before the first answer.
    """

    def __init__(self, address: HubAddress, commit: str | None = None) -> None:
        self.address, self.commit = address, commit
        self._ranges: HubRanges | None = None
        self._unfinished: Path | None = None

    def keep_unfinished(self, folder: Path) -> None:
        """Keep the bytes of long ranges in `folder` as they arrive, until they are whole."""
        self._unfinished, self._ranges = folder, None

    def read_whole(self, file: str) -> bytes:
        """Return a small file.

        Raises:
            FileNotFoundError: there is none of that name.
            DownloadError: the Hub refuses or cannot be reached.
        """
        return self._get(file).content

    def read_ranges(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return bytes of files, given as (name, first byte, end), by requests made at once.

        Less comes back where a file is shorter. Raises as `read_whole`.
        """
        if not parts:
            return []
        if self.commit is None:
            self.size(parts[0][0])  # its answer says which commit it is of
        address, revision = self.address, self.commit or self.address.revision
        if self._ranges is None or self._ranges.revision != revision:
            self._ranges = HubRanges(address.repository, address.repository_type, revision)
            self._ranges.unfinished = self._unfinished
        return self._ranges.read_all([(self._path(file), begin, end) for file, begin, end in parts])

    def size(self, file: str) -> int:
        """Return the size of a file in bytes; raises as `read_whole`."""
        with self._errors():
            try:
                facts = get_hf_file_metadata(self._url(file), headers={})
            except RemoteEntryNotFoundError:
                raise _missing(file) from None
        assert facts.size is not None, "the Hub states the size of every file"
        self.commit = self.commit or facts.commit_hash
        return facts.size

    def _get(self, file: str) -> Any:
        with self._errors():
            try:
                answer = http_backoff(
                    "GET",
                    self._url(file),
                    headers=build_hf_headers(),
                    timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                )
                hf_raise_for_status(answer)
            except RemoteEntryNotFoundError:
                raise _missing(file) from None
        if self.commit is None:
            answers = [*answer.history, answer]
            name = constants.HUGGINGFACE_HEADER_X_REPO_COMMIT
            self.commit = next((it.headers[name] for it in answers if name in it.headers), None)
        return answer

    def _url(self, file: str) -> str:
        address = self.address
        return hf_hub_url(
            address.repository,
            self._path(file),
            repo_type=address.repository_type,
            revision=self.commit or address.revision,
        )

    def _path(self, file: str) -> str:
        return f"{self.address.folder}/{file}" if self.address.folder else file

    def _errors(self) -> Any:
        address = self.address
        return hub_errors(address.repository, address.revision, address.repository_type)


def _missing(file: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such file", file)
