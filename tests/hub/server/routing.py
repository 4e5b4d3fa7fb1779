"""Routes on the raw path: revisions arrive as `refs%2Fpr%2F1`, one segment of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from tests.hub.server import (
    routes_commits,
    routes_discussions,
    routes_files,
    routes_refs,
    routes_repositories,
    storage,
    xet,
)
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import HubState

Handler = Callable[[HubState, Request, dict[str, str]], Awaitable[Response]]

REPOSITORY = "/api/{kind}s/{owner}/{name}"
GIT = "/{prefix}{owner}/{name}"
PLURALS = {"datasets/": "dataset", "spaces/": "space", "": "model"}

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/whoami-v2", routes_repositories.whoami),
    ("POST", "/api/repos/create", routes_repositories.create_repository),
    ("DELETE", "/api/repos/delete", routes_repositories.delete_repository),
    ("POST", "/api/validate-yaml", routes_repositories.validate_card),
    ("GET", "/api/{kind}s", routes_repositories.list_repositories),
    ("GET", REPOSITORY, routes_repositories.tell_repository),
    ("GET", f"{REPOSITORY}/revision/{{revision}}", routes_repositories.tell_repository),
    ("PUT", f"{REPOSITORY}/settings", routes_repositories.change_settings),
    ("GET", f"{REPOSITORY}/auth-check", routes_repositories.check_access),
    ("GET", f"{REPOSITORY}/tree/{{revision}}", routes_repositories.list_tree),
    ("GET", f"{REPOSITORY}/tree/{{revision}}/{{path...}}", routes_repositories.list_tree),
    ("POST", f"{REPOSITORY}/paths-info/{{revision}}", routes_repositories.list_paths),
    ("GET", f"{REPOSITORY}/commits/{{revision}}", routes_repositories.list_commits),
    ("GET", f"{REPOSITORY}/lfs-files", routes_repositories.list_large_files),
    ("POST", f"{REPOSITORY}/preupload/{{revision}}", routes_commits.preupload),
    ("POST", f"{REPOSITORY}/commit/{{revision}}", routes_commits.commit),
    ("GET", f"{REPOSITORY}/refs", routes_refs.list_refs),
    ("POST", f"{REPOSITORY}/tag/{{revision}}", routes_refs.create_tag),
    ("DELETE", f"{REPOSITORY}/tag/{{revision}}", routes_refs.delete_tag),
    ("POST", f"{REPOSITORY}/branch/{{revision}}", routes_refs.create_branch),
    ("DELETE", f"{REPOSITORY}/branch/{{revision}}", routes_refs.delete_branch),
    ("POST", f"{REPOSITORY}/super-squash/{{revision}}", routes_refs.squash),
    ("GET", f"{REPOSITORY}/discussions", routes_discussions.list_discussions),
    ("POST", f"{REPOSITORY}/discussions", routes_discussions.open_discussion),
    ("GET", f"{REPOSITORY}/discussions/{{number}}", routes_discussions.tell_discussion),
    ("POST", f"{REPOSITORY}/discussions/{{number}}/comment", routes_discussions.comment),
    ("POST", f"{REPOSITORY}/discussions/{{number}}/status", routes_discussions.change_status),
    ("POST", f"{REPOSITORY}/discussions/{{number}}/merge", routes_discussions.merge),
    ("POST", f"{GIT}.git/info/lfs/objects/batch", storage.batch),
    ("GET", f"{GIT}/resolve/{{revision}}/{{path...}}", routes_files.resolve),
    ("PUT", "/lfs/upload/{sha256}", storage.upload),
    ("PUT", "/lfs/part/{sha256}/{number}", storage.upload_part),
    ("POST", "/lfs/complete/{sha256}", storage.complete),
    ("POST", "/lfs/verify", storage.verify),
    ("GET", f"{REPOSITORY}/xet-{{scope}}-token/{{revision...}}", xet.tell_token),
    ("POST", "/cas/v1/xorbs/default/{hash}", xet.take_xorb),
    ("POST", "/cas/v1/shards", xet.take_shard),
    ("POST", "/cas/v1/telemetry", xet.take_telemetry),
    ("GET", "/cas/v1/reconstructions/{hash}", xet.tell_parts),
    ("GET", "/cas/v1/chunks/{prefix_of_chunks}/{hash}", xet.tell_chunk),
    ("GET", "/xorbs/{hash}", xet.send_xorb),
    ("GET", "/large/{sha256}/{repository}/{path...}", storage.download),
]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def _compiled(pattern: str) -> re.Pattern[str]:
    words = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}").replace(r"\.\.\.", "...")
    words = words.replace("{kind}", "(?P<kind>model|dataset|space)")
    words = words.replace("{prefix}", "(?P<prefix>datasets/|spaces/|)")
    words = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", words)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+?)", words))


COMPILED = [Route(method, _compiled(pattern), handler) for method, pattern, handler in ROUTES]


def route_of(method: str, raw_path: str) -> tuple[Handler, dict[str, str]]:
    """Return a request's handler and what its path names."""
    for route in COMPILED:
        match = route.pattern.fullmatch(raw_path)
        if match and route.method == ("GET" if method == "HEAD" else method):
            at = {name: unquote(word) for name, word in match.groupdict().items()}
            if "prefix" in at:
                at["kind"] = PLURALS[at["prefix"]]
            return route.handler, at
    raise RefusalError(404, f"no route for {method} {raw_path}")


def is_api_call(raw_path: str) -> bool:
    return raw_path.startswith("/api/") or raw_path.endswith("/info/lfs/objects/batch")
