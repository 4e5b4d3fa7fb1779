"""A small Hub over HTTP for tests: what the real client needs to list and to fetch models.

Large files are answered as the Hub does it: with a redirect to another host, here `localhost`
beside `127.0.0.1`, which must never see the token.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_this_test"
COMMIT = "c0ffee" + "0" * 34
LARGE = 1000
"""Bytes from which on a file is kept outside git."""


@dataclass
class Repository:
    """A model repository of the test Hub."""

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False


@dataclass
class HubState:
    """What the server holds, what it was asked, and how it misbehaves.

    Attributes:
        cut_after: bytes after which a large file's stream breaks off; afterwards the server
            answers 503. None: it behaves.
        stall: instead of breaking off, keep the connection open and silent.
        alter: send large files with their last byte changed.
        endless: send large files and go on, without saying how long they are.
        stated: what the listing says of a file instead of the truth, by name and key.
        served: (file, first byte, bytes sent) of every large answer.
        tokens_elsewhere: tokens that arrived at the redirect's target.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    cut_after: int | None = None
    stall: bool = False
    alter: bool = False
    endless: bool = False
    stated: dict[str, dict[str, Any]] = field(default_factory=dict)
    served: list[tuple[str, int, int]] = field(default_factory=list)
    tokens_elsewhere: list[str] = field(default_factory=list)
    is_cut: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running_hub(state: HubState) -> Iterator[str]:
    """Serve `state`; yields the endpoint's address."""

    class Handler(_Handler):
        hub = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        state.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: HubState
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._route(body=True)

    def do_HEAD(self) -> None:
        self._route(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _route(self, *, body: bool) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[0] == "large":
            return self._send_large("/".join(parts[3:]), self._repository(parts[1:3]))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            words = "Invalid credentials in Authorization header"
            return self._refuse(401, message=words)
        if parts[:2] == ["api", "models"]:
            return self._tell(self._repository(parts[2:4]), parts, body=body)
        if len(parts) > 4 and parts[2] == "resolve":
            return self._resolve(parts, token, body=body)
        return self._refuse(404)

    def _repository(self, name: list[str]) -> Repository | None:
        return self.hub.repositories.get("/".join(name))

    def _tell(self, repository: Repository | None, parts: list[str], *, body: bool) -> None:
        if repository is None:
            return self._refuse(404, "RepoNotFound", "Repository not found")
        if parts[4:5] == ["revision"] and parts[5] not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {parts[5]}")
        siblings = [
            self._sibling(name, data) | self.hub.stated.get(name, {})
            for name, data in repository.files.items()
        ]
        answer = {
            "id": "/".join(parts[2:4]),
            "sha": COMMIT,
            "private": False,
            "gated": "auto" if repository.gated else False,
            "siblings": siblings,
            "cardData": repository.card,
        }
        return self._send(json.dumps(answer).encode(), body=body)

    @staticmethod
    def _sibling(name: str, data: bytes) -> dict[str, Any]:
        sha256 = hashlib.sha256(data).hexdigest()
        large = {"lfs": {"sha256": sha256, "size": len(data), "pointerSize": 130}}
        git_name = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"rfilename": name, "size": len(data), "blobId": git_name} | (
            large if len(data) >= LARGE else {}
        )

    def _resolve(self, parts: list[str], token: str, *, body: bool) -> None:
        repository = self._repository(parts[:2])
        name = "/".join(parts[4:])
        if repository is None:
            return self._refuse(404, "RepoNotFound", "Repository not found")
        if repository.gated and not token:
            return self._refuse(401, "GatedRepo", "Access to this model is restricted")
        if repository.gated:
            return self._refuse(403, "GatedRepo", "You are not in the authorized list")
        if name not in repository.files:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        data = repository.files[name]
        stated = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        if len(data) < LARGE:
            return self._send(data, body=body, headers=stated)
        port = self.server.server_address[1]
        location = f"http://localhost:{port}/large/{'/'.join(parts[:2])}/{name}"
        linked = {
            "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Linked-Size": str(len(data)),
            "Location": location,
        }
        return self._send(b"", status=302, body=body, headers=stated | linked)

    def _send_large(self, name: str, repository: Repository | None) -> None:
        assert repository is not None
        if "Authorization" in self.headers:
            self.hub.tokens_elsewhere.append(self.headers["Authorization"])
        if self.hub.is_cut.is_set():
            return self._refuse(503)
        data = repository.files[name]
        if self.hub.alter:
            data = data[:-1] + bytes([data[-1] ^ 1])
        first = int(self.headers.get("Range", "bytes=0-")[len("bytes=") :].split("-")[0])
        rest = data[first:]
        if self.hub.endless:
            return self._send_without_end(name, data)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(rest)))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.hub.cut_after is None:
            self.hub.served.append((name, first, len(rest)))
            self.wfile.write(rest)
            return None
        sent = rest[: self.hub.cut_after]
        self.hub.served.append((name, first, len(sent)))
        self.wfile.write(sent)
        self.wfile.flush()
        self.hub.is_cut.set()
        if self.hub.stall:
            self.hub.stop.wait()
        self.close_connection = True
        return None

    def _send_without_end(self, name: str, data: bytes) -> None:
        """At most 300 MB are sent."""
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has enough
            for _ in range(300_000_000 // len(data)):
                self.wfile.write(data)
                self.hub.served.append((name, 0, len(data)))

    def _send(
        self,
        data: bytes,
        *,
        body: bool,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _refuse(self, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        stated = {name: value for name, value in headers.items() if value}
        self._send(b"", body=False, status=status, headers=stated)
