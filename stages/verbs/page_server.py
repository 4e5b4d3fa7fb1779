"""A server of one page, for browsers of this machine alone."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def page_server(page: Path, port: int) -> ThreadingHTTPServer:
    """Return a server that answers / with the page, and everything else with "not found".

    It hears 127.0.0.1 only: nobody else on the network can look.

    Raises:
        OSError: the port is taken or not permitted.
    """
    content = page.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A page of another origin may reach this port under a name of its own (DNS rebinding).
            host = self.headers.get("Host", "").partition(":")[0]
            if self.path != "/" or host not in ("127.0.0.1", "localhost"):
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing: the terminal shows the address."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
