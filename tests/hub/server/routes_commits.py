"""Commits: which way each file goes, and one whole commit at once or not at all."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.hub.server.access import json_body, proposable, readable, require_caller, writable
from tests.hub.server.contents import Entry, is_large, large_entry
from tests.hub.server.history import Commit, pull_number
from tests.hub.server.listings import front_matter
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import Account, HubState, Repository

At = dict[str, str]


async def preupload(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    require_caller(hub, request)
    there = repository.history.commit_of(at["revision"]).files
    body = await json_body(request)
    ignored = [line for line in body.get("gitIgnore", "").splitlines() if line.strip()]
    answers = []
    for file in body["files"]:
        path, size = file["path"], file["size"]
        answers.append(
            {
                "path": path,
                "uploadMode": "lfs" if is_large(path, size, hub.large_from) else "regular",
                "shouldIgnore": any(fnmatch(path, pattern) for pattern in ignored),
                "oid": there[path].oid if path in there else None,
            }
        )
    return JSONResponse({"files": answers})


@dataclass
class Change:
    """What a commit asks for."""

    title: str = ""
    message: str = ""
    parent: str | None = None
    files: dict[str, Entry] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    deleted_folders: list[str] = field(default_factory=list)

    @property
    def num_files(self) -> int:
        return len(self.files) + len(self.deleted) + len(self.deleted_folders)


async def commit(hub: HubState, request: Request, at: At) -> Response:
    proposes = request.query_params.get("create_pr") in ("1", "true")
    repository, account = (proposable if proposes else writable)(hub, request, at)
    if any(fault.kind == "stale_parent" for fault in request.scope["faults"]):
        raise _stale()
    change = _read_change(hub, await request.body())
    history, ref = repository.history, at["revision"]
    _require_open(repository, ref)
    head = history.head(ref)
    if change.parent is not None and change.parent != head:
        raise _stale()
    files = _changed_files(dict(history.commits[head].files), change)
    hub.limits.require_files(change.num_files, files)
    hub.limits.require_commits(repository.key, hub.clock, hub.records)
    answer: dict[str, Any] = {"success": True}
    if proposes:
        discussion = history.open_discussion(
            change.title, account.name, hub.clock.now(), is_pull_request=True, status="open"
        )
        ref = f"refs/pr/{discussion.number}"
        page = f"{hub.endpoint}/{repository.key}/discussions/{discussion.number}"
        answer["pullRequestUrl"] = page
    made = _apply(hub, repository, ref, files, head, change, account)
    answer["commitOid"] = made.oid
    answer["commitUrl"] = f"{hub.endpoint}/{repository.key}/commit/{made.oid}"
    return JSONResponse(answer)


def _apply(
    hub: HubState,
    repository: Repository,
    ref: str,
    files: dict[str, Entry],
    head: str,
    change: Change,
    account: Account,
) -> Commit:
    made = hub.move(
        repository,
        ref,
        files,
        (head,),
        title=change.title,
        message=change.message,
        author=account.name,
    )
    number = pull_number(ref)
    if number is not None:
        event = {"type": "commit", "data": {"subject": change.title, "oid": made.oid}}
        repository.history.discussions[number].events.append(
            event | {"time": made.time, "author": account.name}
        )
    return made


def _stale() -> RefusalError:
    return RefusalError(412, "A commit has happened since. Please refresh and try again.")


def _require_open(repository: Repository, ref: str) -> None:
    number = pull_number(ref)
    discussion = repository.history.discussions.get(number) if number is not None else None
    if discussion is not None and discussion.status in ("closed", "merged"):
        raise RefusalError(403, f"Pull request {number} is {discussion.status}")


def _read_change(hub: HubState, body: bytes) -> Change:
    change = Change()
    for line in body.splitlines():
        if not line.strip():
            continue
        item = json.loads(line)
        key, value = item["key"], item["value"]
        if key == "header":
            change.title, change.message = value["summary"], value.get("description", "")
            change.parent = value.get("parentCommit")
        elif key == "file":
            data = base64.b64decode(value["content"])
            change.files[_allowed(value["path"])] = _regular_entry(hub, value["path"], data)
        elif key == "lfsFile":
            change.files[_allowed(value["path"])] = _stored_entry(hub, value)
        elif key == "deletedFile":
            change.deleted.append(value["path"])
        elif key == "deletedFolder":
            change.deleted_folders.append(value["path"].rstrip("/"))
        else:
            raise RefusalError(400, f"unknown key {key!r} in a commit")
    if not change.title:
        raise RefusalError(400, "a commit needs a summary")
    return change


def _allowed(path: str) -> str:
    parts = path.split("/")
    if not all(parts) or {".", "..", ".git"} & set(parts) or "\\" in path or "\0" in path:
        raise RefusalError(400, f"the name {path!r} is not allowed")
    return path


def _regular_entry(hub: HubState, path: str, data: bytes) -> Entry:
    if len(data) >= hub.large_from:
        raise RefusalError(400, f"{path} has {len(data)} bytes: use large file storage")
    if path == "README.md":
        _, errors = front_matter(data.decode(errors="replace"))
        if errors:
            raise RefusalError(400, f"Invalid metadata in README.md: {'; '.join(errors)}")
    return hub.contents.add_regular(data)


def _stored_entry(hub: HubState, value: dict[str, Any]) -> Entry:
    """Return the entry of a large file, whose bytes must have come before."""
    sha256 = value["oid"]
    data = hub.contents.large.get(sha256)
    if data is None:
        words = f"LFS pointer pointed to a file that does not exist: {value['path']} ({sha256})"
        raise RefusalError(400, words)
    if value.get("size", len(data)) != len(data):
        raise RefusalError(400, f"{value['path']} has {len(data)} bytes, not {value['size']}")
    return large_entry(sha256, len(data))


def _changed_files(files: dict[str, Entry], change: Change) -> dict[str, Entry]:
    for path in change.deleted:
        if path not in files:
            raise RefusalError(404, f"{path} does not exist", "EntryNotFound")
        del files[path]
    for folder in change.deleted_folders:
        inside = [path for path in files if path.startswith(f"{folder}/")]
        for path in inside:
            del files[path]
    return files | change.files
