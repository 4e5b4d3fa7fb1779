"""Accounts and repositories: whoami, create, delete, settings, facts, trees, and card checks."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.hub.server.access import (
    json_body,
    readable,
    require_caller,
    require_contents,
    require_writer,
    writable,
)
from tests.hub.server.clock import written
from tests.hub.server.contents import Entry
from tests.hub.server.history import folders_of
from tests.hub.server.listings import (
    file_facts,
    folder_facts,
    front_matter,
    repository_facts,
    tree_facts,
)
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import PREFIXES, HubState

At = dict[str, str]


async def whoami(hub: HubState, request: Request, at: At) -> Response:
    account = require_caller(hub, request)
    access = {"displayName": "a test's token", "role": account.role}
    return JSONResponse(
        {
            "type": "user",
            "id": f"id of {account.name}",
            "name": account.name,
            "fullname": account.name.title(),
            "isPro": False,
            "orgs": [{"type": "org", "name": name} for name in account.organisations],
            "auth": {"type": "access_token", "accessToken": access},
        }
    )


async def create_repository(hub: HubState, request: Request, at: At) -> Response:
    body = await json_body(request)
    account = require_caller(hub, request)
    kind, owner = body.get("type", "model"), body.get("organization") or account.name
    words = f'You don\'t have the rights to create a {kind} under the namespace "{owner}"'
    require_writer(hub, request, owner, words)
    name = f"{owner}/{body['name']}"
    if not re.fullmatch(r"(?!.*(--|\.\.))[\w][\w.-]{0,95}(?<![.-])", body["name"], re.ASCII):
        raise RefusalError(400, f"Invalid repository name {body['name']!r}")
    key = PREFIXES[kind] + name
    url = f"{hub.endpoint}/{key}"
    if key in hub.repositories:
        raise RefusalError(409, f"You already created this {kind} repo", body={"url": url})
    private = body.get("visibility") == "private" or bool(body.get("private"))
    repository = hub.create(kind, name, private=private)
    return JSONResponse({"url": url, "name": name, "id": repository.key})


async def delete_repository(hub: HubState, request: Request, at: At) -> Response:
    body = await json_body(request)
    owner = body.get("organization") or require_caller(hub, request).name
    named = {"kind": body.get("type", "model"), "owner": owner, "name": body["name"]}
    repository, _ = writable(hub, request, named)
    del hub.repositories[repository.key]
    return JSONResponse({})


async def change_settings(hub: HubState, request: Request, at: At) -> Response:
    repository, _ = writable(hub, request, at)
    body = await json_body(request)
    if "visibility" in body or "private" in body:
        repository.private = body.get("visibility") == "private" or bool(body.get("private"))
    if "gated" in body:
        repository.gated = bool(body["gated"])
    return JSONResponse({"private": repository.private, "gated": repository.gated})


async def check_access(hub: HubState, request: Request, at: At) -> Response:
    require_contents(hub, request, readable(hub, request, at))
    return JSONResponse({})


async def list_repositories(hub: HubState, request: Request, at: At) -> Response:
    author = request.query_params.get("author")
    account = require_caller(hub, request) if "Authorization" in request.headers else None
    spaces = account.namespaces if account else ()
    listed = [
        repository_facts(hub, repo, repo.history.commit_of("main"), blobs=False)
        for repo in hub.repositories.values()
        if repo.kind == at["kind"]
        and author in (None, repo.namespace)
        and (not repo.private or repo.namespace in spaces)
    ]
    return JSONResponse(listed)


async def tell_repository(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    commit = repository.history.commit_of(at.get("revision", "main"))
    blobs = request.query_params.get("blobs", "").lower() in ("true", "1")
    return JSONResponse(repository_facts(hub, repository, commit, blobs=blobs))


async def list_tree(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    commit = repository.history.commit_of(at["revision"])
    folder = at.get("path", "").strip("/")
    if folder and folder not in folders_of(commit.files):
        raise RefusalError(404, f"{folder} does not exist on {at['revision']}", "EntryNotFound")
    asked = request.query_params
    recursive, expand = _is_set(request, "recursive"), _is_set(request, "expand")
    listed = list(tree_facts(hub, commit, folder, recursive=recursive, expand=expand))
    return _page(hub, request, listed, int(asked.get("limit", hub.page_size)))


async def list_paths(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    commit = repository.history.commit_of(at["revision"])
    if "json" in request.headers.get("Content-Type", ""):
        body = await json_body(request)
        paths, expand = body.get("paths", []), bool(body.get("expand"))
    else:
        form = parse_qs((await request.body()).decode())
        paths = form.get("paths", [])
        expand = form.get("expand", [""])[0].lower() in ("true", "1")
    folders = folders_of(commit.files)
    facts = []
    for path in (path.strip("/") for path in paths):
        if path in commit.files:
            facts.append(file_facts(hub, path, commit.files[path], commit, expand=expand))
        elif path in folders:
            facts.append(folder_facts(path, commit, expand=expand))
    return JSONResponse(facts)


async def list_commits(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    head = repository.history.commit_of(at["revision"])
    listed = [
        {
            "id": commit.oid,
            "title": commit.title,
            "message": commit.message,
            "authors": [{"user": commit.author}],
            "date": written(commit.time),
        }
        for commit in repository.history.ancestors(head.oid)
    ]
    return _page(hub, request, listed, min(50, hub.page_size))


async def validate_card(hub: HubState, request: Request, at: At) -> Response:
    body = await json_body(request)
    data, errors = front_matter(body["content"])
    warnings = [] if data or errors else ["empty or missing yaml metadata in repo card"]
    answer = {
        "errors": [{"message": words} for words in errors],
        "warnings": [{"message": words} for words in warnings],
    }
    return JSONResponse(answer, 400 if errors else 200)


async def list_large_files(hub: HubState, request: Request, at: At) -> Response:
    repository, _ = writable(hub, request, at)
    large: dict[str, tuple[str, Entry]] = {}
    for commit in repository.history.commits.values():
        large.update({e.sha256: (n, e) for n, e in commit.files.items() if e.sha256})
    return JSONResponse(
        [
            {"fileOid": sha256, "filename": name, "oid": sha256, "size": entry.size}
            for sha256, (name, entry) in large.items()
        ]
    )


def _is_set(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("true", "1")


def _page(hub: HubState, request: Request, listed: list, size: int) -> Response:
    """Answer with one page of a listing, and a link to the next."""
    begin = int(request.query_params.get("cursor", 0))
    headers = {}
    if begin + size < len(listed):
        asked = dict(request.query_params) | {"cursor": str(begin + size)}
        path = request.scope["raw_path"].decode()
        headers["Link"] = f'<{hub.endpoint}{path}?{urlencode(asked)}>; rel="next"'
    return JSONResponse(listed[begin : begin + size], headers=headers)
