"""Listings: what the Hub says of a repository, its files and its card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import yaml

from tests.hub.server.clock import written
from tests.hub.server.contents import Entry, pointer
from tests.hub.server.history import Commit, folders_of
from tests.hub.server.state import HubState, Repository


def repository_facts(
    hub: HubState, repository: Repository, commit: Commit, *, blobs: bool
) -> dict[str, Any]:
    files = sorted(commit.files.items())
    card = card_of(hub, repository, commit)
    return {
        "_id": hashlib.sha1(repository.key.encode(), usedforsecurity=False).hexdigest()[:24],
        "id": repository.name,
        "author": repository.namespace,
        "sha": commit.oid,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": list(card.get("tags") or []),
        "createdAt": written(repository.created),
        "lastModified": written(commit.time),
        "cardData": card,
        "siblings": [
            sibling(name, entry, blobs=blobs) | hub.stated.get(name, {}) for name, entry in files
        ],
    }


def sibling(name: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": name}
    facts: dict[str, Any] = {"rfilename": name, "size": entry.size, "blobId": entry.git_hash}
    if entry.sha256 is not None:
        size = len(pointer(entry.sha256, entry.size))
        facts["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": size}
    return facts


def card_of(hub: HubState, repository: Repository, commit: Commit) -> dict[str, Any]:
    """Return the card's data as stated, or as README.md begins with it."""
    if repository.card is not None:
        return repository.card
    readme = commit.files.get("README.md")
    if readme is None:
        return {}
    data, errors = front_matter(hub.contents.read(readme).decode(errors="replace"))
    return {} if errors else data


def front_matter(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return the data between the first two lines of dashes, and what is wrong with it."""
    if not text.startswith("---\n"):
        return {}, []
    block, separator, _ = text[4:].partition("\n---")
    if not separator:
        return {}, ["the metadata has no end"]
    try:
        data = yaml.safe_load(block)
    except yaml.YAMLError as error:
        return {}, [f"bad YAML: {error}"]
    if not isinstance(data, dict):
        return {}, [] if data is None else ["the metadata is not a mapping"]
    return data, []


def file_facts(
    hub: HubState, name: str, entry: Entry, commit: Commit, *, expand: bool
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type": "file",
        "path": name,
        "oid": entry.git_hash,
        "size": entry.size,
    }
    if entry.sha256 is not None:
        size = len(pointer(entry.sha256, entry.size))
        facts["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": size}
        if entry.sha256 in hub.contents.xet_hashes:
            facts["xetHash"] = hub.contents.xet_hashes[entry.sha256]
    return facts | _stated(hub, name) | _expansion(commit, expand=expand)


def _stated(hub: HubState, name: str) -> dict[str, Any]:
    names = {"rfilename": "path", "blobId": "oid"}
    return {names.get(key, key): value for key, value in hub.stated.get(name, {}).items()}


def folder_facts(name: str, commit: Commit, *, expand: bool) -> dict[str, Any]:
    inside = "".join(
        f"{path}\0{entry.git_hash}\n"
        for path, entry in sorted(commit.files.items())
        if path.startswith(f"{name}/")
    )
    oid = hashlib.sha1(inside.encode(), usedforsecurity=False).hexdigest()
    facts = {"type": "directory", "path": name, "oid": oid, "size": 0}
    return facts | _expansion(commit, expand=expand)


def _expansion(commit: Commit, *, expand: bool) -> dict[str, Any]:
    if not expand:
        return {}
    last = {"id": commit.oid, "title": commit.title, "date": written(commit.time)}
    return {"lastCommit": last}


def tree_facts(
    hub: HubState, commit: Commit, folder: str, *, recursive: bool, expand: bool
) -> Iterable[dict[str, Any]]:
    """Return files and folders below a folder in the order of their names."""
    inside = f"{folder}/" if folder else ""

    def is_listed(path: str) -> bool:
        rest = path.removeprefix(inside)
        return path.startswith(inside) and bool(rest) and (recursive or "/" not in rest)

    folders = {path for path in folders_of(commit.files) if is_listed(path)}
    files = {path: entry for path, entry in commit.files.items() if is_listed(path)}
    for path in sorted(folders | files.keys()):
        if path in files:
            yield file_facts(hub, path, files[path], commit, expand=expand)
        else:
            yield folder_facts(path, commit, expand=expand)
