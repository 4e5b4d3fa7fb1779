"""Files at a revision: small ones at once, large ones by a redirect to the storage."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tests.hub.server import storage
from tests.hub.server.access import readable, require_contents
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import HubState

At = dict[str, str]


async def resolve(hub: HubState, request: Request, at: At) -> Response:
    repository = readable(hub, request, at)
    require_contents(hub, request, repository)
    commit = repository.history.commit_of(at["revision"])
    stated = {"X-Repo-Commit": commit.oid}
    entry = commit.files.get(at["path"])
    if entry is None:
        raise RefusalError(404, "Entry not found", "EntryNotFound", headers=stated)
    stated["ETag"] = f'"{entry.git_hash}"'
    if entry.sha256 is None:
        data = hub.contents.read(entry)
        return storage.ranged(hub, request, data, repository.key, at["path"], **stated)
    stated["X-Linked-ETag"] = f'"{entry.sha256}"'
    stated["X-Linked-Size"] = str(entry.size)
    stated["Location"] = storage.address(hub, repository, entry.sha256, at["path"])
    xet_hash = hub.contents.xet_hashes.get(entry.sha256)
    if xet_hash is not None:
        api = f"{hub.endpoint}/api/{repository.kind}s/{repository.name}"
        stated["X-Xet-Hash"] = xet_hash
        stated["Link"] = f'<{api}/xet-read-token/{commit.oid}>; rel="xet-auth"'
    return Response(status_code=302, headers=stated)
