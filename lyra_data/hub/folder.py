"""Read parts of a repository's files, at one commit, without fetching the files."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

from lyra_data.hub.errors import PATHS, hub_errors

REQUESTS_AT_ONCE = 8

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

    def read_whole(self, file: str) -> bytes:
        """Return a small file.

        Raises:
            FileNotFoundError: there is none of that name.
            DownloadError: the Hub refuses or cannot be reached.
        """
        return self._get(file, {}).content

    def read_ranges(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return bytes of files, given as (name, first byte, end), by requests made at once.

        Less comes back where a file is shorter. Raises as `read_whole`, and:
            ValueError: the server sends other bytes than those.
        """
        if not parts:
            return []
        if self.commit is None:
            first, *rest = parts
            return [self._read_range(first), *self.read_ranges(rest)]
        with ThreadPoolExecutor(min(len(parts), REQUESTS_AT_ONCE)) as threads:
            return list(threads.map(self._read_range, parts))

    def size(self, file: str) -> int:
        """Return the size of a file in bytes; raises as `read_whole`."""
        with self._errors():
            try:
                size = get_hf_file_metadata(self._url(file), headers={}).size
            except RemoteEntryNotFoundError:
                raise _missing(file) from None
        assert size is not None, "the Hub states the size of every file"
        return size

    def _read_range(self, part: tuple[str, int, int]) -> bytes:
        file, begin, end = part
        try:
            answer = self._get(file, {"Range": f"bytes={begin}-{end - 1}"})
        except _BeyondEndError:
            return b""
        if answer.status_code != 206:
            raise ValueError(f"the server sends all of {file}, not the bytes that were asked for")
        return answer.content

    def _get(self, file: str, headers: dict[str, str]) -> Any:
        with self._errors():
            try:
                answer = http_backoff(
                    "GET",
                    self._url(file),
                    headers=build_hf_headers() | headers,
                    timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                )
                hf_raise_for_status(answer)
            except RemoteEntryNotFoundError:
                raise _missing(file) from None
            except HfHubHTTPError as error:
                if error.response.status_code == 416:
                    raise _BeyondEndError from None
                raise
        if self.commit is None:
            answers = [*answer.history, answer]
            name = constants.HUGGINGFACE_HEADER_X_REPO_COMMIT
            self.commit = next((it.headers[name] for it in answers if name in it.headers), None)
        return answer

    def _url(self, file: str) -> str:
        address = self.address
        return hf_hub_url(
            address.repository,
            f"{address.folder}/{file}" if address.folder else file,
            repo_type=address.repository_type,
            revision=self.commit or address.revision,
        )

    def _errors(self) -> Any:
        address = self.address
        return hub_errors(address.repository, address.revision, address.repository_type)


class _BeyondEndError(Exception):
    """The range begins behind the file's end."""


def _missing(file: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such file", file)
