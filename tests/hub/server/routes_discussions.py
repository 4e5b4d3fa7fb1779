"""Discussions and pull requests: open, comment, change the status, merge."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.hub.server.access import json_body, proposable, readable, writable
from tests.hub.server.clock import written
from tests.hub.server.history import Discussion
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import HubState, Repository

At = dict[str, str]
PAGE = 10


async def list_discussions(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    asked = request.query_params
    status = {"open": ("open", "draft"), "closed": ("closed", "merged")}.get(
        asked.get("status", ""), ("open", "draft", "closed", "merged")
    )
    listed = [
        discussion
        for discussion in reversed(repository.history.discussions.values())
        if discussion.status in status
        and asked.get("author") in (None, discussion.author)
        and asked.get("type", "all")
        in ("all", "pull_request" if discussion.is_pull_request else "discussion")
    ]
    begin = int(asked.get("p", 0)) * PAGE
    return JSONResponse(
        {
            "count": len(listed),
            "start": begin,
            "discussions": [_facts(repository, it) for it in listed[begin : begin + PAGE]],
        }
    )


def _facts(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": {"name": discussion.author},
        "createdAt": written(discussion.time),
        "status": discussion.status,
        "repo": {"name": repository.name, "type": repository.kind},
        "isPullRequest": discussion.is_pull_request,
    }


async def open_discussion(hub: HubState, request: Request, at: At) -> Response:
    repository, account = proposable(hub, request, at)
    body = await json_body(request)
    if not 3 <= len(body["title"]) <= 200:
        raise RefusalError(400, "a title has 3 to 200 characters")
    is_pull_request = bool(body.get("pullRequest"))
    discussion = repository.history.open_discussion(
        body["title"],
        account.name,
        hub.clock.now(),
        is_pull_request=is_pull_request,
        status="draft" if is_pull_request else "open",
    )
    _comment(hub, discussion, account.name, body.get("description", ""))
    return JSONResponse(_facts(repository, discussion))


async def tell_discussion(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    discussion = _discussion(repository, at)
    facts = _facts(repository, discussion)
    facts["events"] = [_event(number, event) for number, event in enumerate(discussion.events)]
    if discussion.is_pull_request:
        _, conflicts = repository.history.merged_files(discussion)
        is_done = discussion.status == "merged"
        facts["filesWithConflicts"] = [] if is_done else conflicts
        facts["changes"] = {"base": "refs/heads/main", "mergeCommitId": discussion.merge_commit}
        facts["diff"] = ""
    return JSONResponse(facts)


def _event(number: int, event: dict[str, Any]) -> dict[str, Any]:
    name = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[:24]
    return {
        "id": name,
        "type": event["type"],
        "createdAt": written(event["time"]),
        "author": {"name": event["author"]},
        "data": event["data"],
    }


def _discussion(repository: Repository, at: At) -> Discussion:
    discussion = repository.history.discussions.get(int(at["number"]))
    if discussion is None:
        raise RefusalError(404, f"no discussion {at['number']}")
    return discussion


def _comment(hub: HubState, discussion: Discussion, author: str, words: str) -> dict[str, Any]:
    data = {"edited": False, "hidden": False, "latest": {"raw": words}}
    event = {"type": "comment", "time": hub.clock.now(), "author": author, "data": data}
    discussion.events.append(event)
    return event


async def comment(hub: HubState, request: Request, at: At) -> Response:
    repository, account = proposable(hub, request, at)
    discussion = _discussion(repository, at)
    event = _comment(hub, discussion, account.name, (await json_body(request))["comment"])
    return JSONResponse({"newMessage": _event(len(discussion.events), event)})


async def change_status(hub: HubState, request: Request, at: At) -> Response:
    repository, account = writable(hub, request, at)
    discussion, body = _discussion(repository, at), await json_body(request)
    if discussion.status == "merged":
        raise RefusalError(400, "a merged pull request has a last status")
    if body["status"] not in ("open", "closed"):
        raise RefusalError(400, f"unknown status {body['status']!r}")
    return _changed_status(hub, discussion, body["status"], account.name)


def _changed_status(hub: HubState, discussion: Discussion, status: str, author: str) -> Response:
    discussion.status = status
    event = {
        "type": "status-change",
        "time": hub.clock.now(),
        "author": author,
        "data": {"status": status},
    }
    discussion.events.append(event)
    return JSONResponse({"newStatus": _event(len(discussion.events), event)})


async def merge(hub: HubState, request: Request, at: At) -> Response:
    """Merge an open pull request; a draft has to be opened first, as on the Hub."""
    repository, account = writable(hub, request, at)
    discussion, history = _discussion(repository, at), repository.history
    if not discussion.is_pull_request:
        raise RefusalError(400, "only a pull request can be merged")
    if discussion.status != "open":
        raise RefusalError(400, f"a pull request that is {discussion.status} cannot be merged")
    files, conflicts = history.merged_files(discussion)
    if conflicts:
        raise RefusalError(409, f"conflicts in {', '.join(conflicts)}")
    hub.limits.require_commits(repository.key, hub.clock, hub.records)
    parents = (repository.head, history.pulls[discussion.number])
    title = f"{discussion.title} (#{discussion.number})"
    made = hub.move(repository, "main", files, parents, title=title, author=account.name)
    discussion.merge_commit = made.oid
    return _changed_status(hub, discussion, "merged", account.name)
