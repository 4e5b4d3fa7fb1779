"""Names of commits: branches, tags, and a history squashed into one commit."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.hub.server.access import json_body, readable, writable
from tests.hub.server.history import pull_number
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import HubState

At = dict[str, str]


async def list_refs(hub: HubState, request: Request, at: At) -> Response:
    history = readable(hub, request, at).history
    answer = {
        "branches": _listed("refs/heads/", history.branches),
        "converts": [],
        "tags": _listed("refs/tags/", history.tags),
    }
    if request.query_params.get("include_prs"):
        numbers = {str(number): oid for number, oid in history.pulls.items()}
        answer["pullRequests"] = _listed("refs/pr/", numbers)
    return JSONResponse(answer)


def _listed(prefix: str, commits: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": prefix + name, "targetCommit": oid} for name, oid in commits.items()
    ]


async def create_tag(hub: HubState, request: Request, at: At) -> Response:
    """The path names the revision, the body the tag."""
    history = writable(hub, request, at)[0].history
    body = await json_body(request)
    target = history.commit_of(at["revision"])
    if body["tag"] in history.tags:
        raise RefusalError(409, "Tag reference exists already")
    history.tags[body["tag"]] = target.oid
    return JSONResponse({"tag": body["tag"]})


async def delete_tag(hub: HubState, request: Request, at: At) -> Response:
    history = writable(hub, request, at)[0].history
    if at["revision"] not in history.tags:
        raise RefusalError(404, f"no tag {at['revision']}", "RevisionNotFound")
    del history.tags[at["revision"]]
    return JSONResponse({})


async def create_branch(hub: HubState, request: Request, at: At) -> Response:
    repository, account = writable(hub, request, at)
    body, history, name = await json_body(request), repository.history, at["revision"]
    if pull_number(name) is not None or name.startswith("refs/"):
        raise RefusalError(400, f"Invalid branch name {name!r}")
    if name in history.branches and not body.get("overwrite"):
        raise RefusalError(409, "Reference already exists")
    if body.get("emptyBranch"):
        words = {"title": "initial commit", "author": account.name}
        hub.move(repository, name, {}, (), **words)
    else:
        history.branches[name] = history.commit_of(body.get("startingPoint") or "main").oid
    return JSONResponse({})


async def delete_branch(hub: HubState, request: Request, at: At) -> Response:
    history = writable(hub, request, at)[0].history
    if at["revision"] == "main":
        raise RefusalError(400, "Cannot delete the default branch")
    if at["revision"] not in history.branches:
        raise RefusalError(404, f"no branch {at['revision']}", "RevisionNotFound")
    del history.branches[at["revision"]]
    return JSONResponse({})


async def squash(hub: HubState, request: Request, at: At) -> Response:
    repository, account = writable(hub, request, at)
    body = await json_body(request)
    files = repository.history.commits[repository.history.head(at["revision"])].files
    title = body.get("message") or "squashed"
    made = hub.move(repository, at["revision"], files, (), title=title, author=account.name)
    return JSONResponse({"commitOid": made.oid})
