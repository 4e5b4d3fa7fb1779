"""Listing: what a repository of the Hub holds, how large it is, under which licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from lyra_data.engine.names import stays_inside
from lyra_data.models.weights.catalogue import Release
from lyra_data.models.weights.hub_errors import DownloadError, hub_errors

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
        revision: the exact commit.
        licence: as the repository's card states it now.
        gated: whether the licence must be accepted on the repository's page.
    """

    repository: str
    page: str
    revision: str
    licence: str
    gated: bool
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def list_release(release: Release, revision: str | None = None) -> Listing:
    """Ask the Hub.

    Raises:
        DownloadError: no such repository or revision, no access, or no network; or the listing
            names a file that would be written outside its folder.
    """
    from huggingface_hub import HfApi, constants

    with hub_errors(release.repository, revision):
        info = HfApi().model_info(release.repository, revision=revision, files_metadata=True)
    files = [
        RemoteFile(
            name=sibling.rfilename,
            size=sibling.size or 0,
            sha256=None if sibling.lfs is None else sibling.lfs.sha256,
            git_hash=sibling.blob_id if sibling.lfs is None else None,
        )
        for sibling in info.siblings or []
        if not any(fnmatch(sibling.rfilename, p) for p in (*NEVER_FETCHED, *release.excluded))
    ]
    page = f"{constants.ENDPOINT}/{release.repository}"
    for file in files:
        _refuse_outside(file, page)
    assert info.sha is not None, "the Hub states the commit of every answer"
    return Listing(
        repository=release.repository,
        page=page,
        revision=info.sha,
        licence=_licence(info.card_data),
        gated=bool(info.gated),
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
    """Return the licence words of a model card: its name where it has one, else its identifier, and
    a link."""
    stated = {} if card is None else card.to_dict()
    name = stated.get("license_name") or stated.get("license")
    if not name:
        return "not stated in the card's data: read the repository's page"
    words = ", ".join(name) if isinstance(name, list) else str(name)
    link = stated.get("license_link")
    return f"{words} ({link})" if link else words
