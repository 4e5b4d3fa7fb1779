"""Listing: what a repository of the Hub holds, how large it is, under which licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from lyra_data.engine.names import stays_inside
from lyra_data.hub.errors import DownloadError, hub_errors, repository_page

NOT_STATED = "not stated in the card's data: read the repository's page"
MOST_LICENCE = 300
"""Characters of a licence's words: a card may hold any."""

NEVER_FETCHED = (".gitattributes", ".gitignore")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        sha256: of its bytes, where the Hub states it (large files).
        git_hash: of its bytes as git names them, for the others.
    """

    name: str
    size: int
    sha256: str | None
    git_hash: str | None


@dataclass(frozen=True)
class Listing:
    """The files that would be fetched.

    Attributes:
        repository_type: "model", "dataset" or "space".
        revision: the exact commit.
        licence: as the repository's card states it now.
        gated: whether the licence must be accepted on the repository's page.
    """

    repository: str
    repository_type: str
    page: str
    revision: str
    licence: str
    gated: bool
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def list_repository(
    repository: str,
    *,
    repository_type: str = "model",
    revision: str | None = None,
    excluded: tuple[str, ...] = (),
) -> Listing:
    """Return what a repository of the Hub holds at a revision, without the files that match
    `excluded`.

    Raises:
        DownloadError: no such repository or revision, no access, or no network; or the listing
            names a file that would be written outside its folder.
    """
    from huggingface_hub import HfApi

    with hub_errors(repository, revision, repository_type):
        info: Any = HfApi().repo_info(
            repository, repo_type=repository_type, revision=revision, files_metadata=True
        )
    files = [
        RemoteFile(
            name=sibling.rfilename,
            size=sibling.size or 0,
            sha256=None if sibling.lfs is None else sibling.lfs.sha256,
            git_hash=sibling.blob_id if sibling.lfs is None else None,
        )
        for sibling in info.siblings or []
        if not any(fnmatch(sibling.rfilename, p) for p in (*NEVER_FETCHED, *excluded))
    ]
    page = repository_page(repository, repository_type)
    for file in files:
        _refuse_outside(file, page)
    assert info.sha is not None, "the Hub states the commit of every answer"
    return Listing(
        repository=repository,
        repository_type=repository_type,
        page=page,
        revision=info.sha,
        licence=_licence(info.card_data),
        gated=bool(getattr(info, "gated", False)),
        files=tuple(sorted(files, key=lambda file: file.name)),
    )


def _refuse_outside(file: RemoteFile, page: str) -> None:
    """Refuse names and hashes that lead elsewhere: both become part of a path."""
    hashes = (file.sha256 or "0", file.git_hash or "0")
    if stays_inside(file.name) and all(re.fullmatch("[0-9a-f]+", word) for word in hashes):
        return
    raise DownloadError(
        f"the listing names a file outside the folder to fetch into, {file.name!r}; nothing was "
        "fetched",
        where=page,
        fix="do not use this repository; if HF_ENDPOINT is set, name the real Hub with it",
    )


def _licence(card: Any) -> str:
    """Return the licence words of a card on one line: its name where it has one, else its
    identifier, and a link."""
    stated = {} if card is None else card.to_dict()
    name = stated.get("license_name") or stated.get("license")
    if not name:
        return NOT_STATED
    words = ", ".join(map(str, name)) if isinstance(name, list) else str(name)
    link = stated.get("license_link")
    line = " ".join((f"{words} ({link})" if link else words).split())
    return line if len(line) <= MOST_LICENCE else f"{line[: MOST_LICENCE - 3]}..."
