"""Access: who asks, and whether he may read or write a repository."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import PREFIXES, Account, HubState, Repository


def caller(hub: HubState, request: Request) -> Account | None:
    """Return the account that a request's token names; None without a token."""
    header = request.headers.get("Authorization", "")
    if not header:
        return None
    account = hub.accounts.get(header.removeprefix("Bearer "))
    if account is None:
        raise RefusalError(401, "Invalid credentials in Authorization header")
    return account


def require_caller(hub: HubState, request: Request) -> Account:
    account = caller(hub, request)
    if account is None:
        raise RefusalError(401, "Invalid username or password.")
    return account


def require_writer(hub: HubState, request: Request, namespace: str, words: str) -> Account:
    """Return the caller where his token may write in a namespace."""
    account = require_caller(hub, request)
    if account.role == "read":
        raise RefusalError(403, f"Forbidden: this token reads only. {words}")
    if namespace not in account.namespaces:
        raise RefusalError(403, words)
    return account


def readable(hub: HubState, request: Request, at: dict[str, str]) -> Repository:
    """Return the repository that a path names, where the caller may see that it exists."""
    account = caller(hub, request)
    repository = hub.repositories.get(PREFIXES[at["kind"]] + f"{at['owner']}/{at['name']}")
    if repository is not None and not repository.private:
        return repository
    if account is None:
        raise RefusalError(401, "Invalid username or password.", "RepoNotFound")
    if repository is None or repository.namespace not in account.namespaces:
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    return repository


def require_contents(hub: HubState, request: Request, repository: Repository) -> None:
    """Refuse the contents of a gated repository to whom its owner has not granted them."""
    account = caller(hub, request)
    if not repository.gated:
        return
    if account is None:
        words = (
            f"Access to {repository.kind} {repository.name} is restricted. You must be logged in."
        )
        raise RefusalError(401, words, "GatedRepo")
    if account.name in repository.granted or repository.namespace in account.namespaces:
        return
    words = f"Access to {repository.kind} {repository.name} is restricted: you are not in the list."
    raise RefusalError(403, words, "GatedRepo")


def writable(hub: HubState, request: Request, at: dict[str, str]) -> tuple[Repository, Account]:
    """Return the repository that a path names, and the caller, who may write to it."""
    repository = readable(hub, request, at)
    words = "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
    return repository, require_writer(hub, request, repository.namespace, words)


def proposable(hub: HubState, request: Request, at: dict[str, str]) -> tuple[Repository, Account]:
    """Return the repository that a path names, and the caller, who may open a pull request."""
    repository = readable(hub, request, at)
    account = require_caller(hub, request)
    if account.role == "read":
        raise RefusalError(403, "Forbidden: this token reads only.")
    return repository, account


async def json_body(request: Request) -> dict[str, Any]:
    """Return a body as an object; nothing sent counts as an empty one."""
    try:
        return await request.json() if await request.body() else {}
    except ValueError:
        raise RefusalError(400, "the body is not JSON") from None
