"""The application: faults, limits, routes and records around every request."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.hub.server.connections import Connection, ConnectionCutError, cut
from tests.hub.server.faults import Fault
from tests.hub.server.records import RequestRecord
from tests.hub.server.refusals import RefusalError
from tests.hub.server.routing import is_api_call, route_of
from tests.hub.server.state import HubState


class HubApplication:
    def __init__(self, hub: HubState) -> None:
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", scope["type"]
        begin = time.monotonic()
        raw_path = scope["raw_path"].decode()
        words = f"{scope['method']} {unquote(raw_path)}"
        faults = self.hub.faults.drawn(words)
        scope["faults"] = faults
        connection = Connection(receive, send, faults, self.hub.faults, words)
        request = Request(scope, connection.receive)
        connection.body_bytes = int(request.headers.get("Content-Length", 0))

        def record() -> None:
            self._record(request, raw_path, connection.status, time.monotonic() - begin)

        connection.before_end = record
        try:
            response = await self._answer(request, raw_path, faults)
            if any(fault.kind == "lose_answer" for fault in faults):
                raise ConnectionCutError
            if any(fault.kind == "alter_answer" for fault in faults) and response.body:
                body = bytes(response.body)
                response.body = body[:-1] + bytes([body[-1] ^ 1])
            await response(scope, connection.receive, connection.send)
        except ConnectionCutError as end:
            connection.status = 0
            await cut(send, at_once=end.at_once)
        except ClientDisconnect:
            connection.status = 0
        except Exception as error:
            self.hub.failures.append(error)
            raise
        if connection.before_end is not None:  # the answer was cut before its end
            record()

    async def _answer(self, request: Request, raw_path: str, faults: list[Fault]) -> Response:
        headers: dict[str, str] = {}
        try:
            for fault in faults:
                if fault.kind == "slow":
                    await asyncio.sleep(fault.seconds)
                if fault.kind == "status":
                    wait = fault.retry_after
                    retry = {} if wait is None else {"Retry-After": str(wait)}
                    raise RefusalError(fault.status, "a fault of this test", headers=retry)
            if is_api_call(raw_path):
                headers = self.hub.limits.require_calls(self.hub.clock, self.hub.records)
            handler, at = route_of(request.method, raw_path)
            response = await handler(self.hub, request, at)
        except RefusalError as refusal:
            response = refusal.response()
        for name, value in headers.items():
            response.headers[name] = value
        return response

    def _record(self, request: Request, raw_path: str, status: int, seconds: float) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        account = self.hub.accounts.get(token)
        name = account.name if account else ""
        self.hub.records.requests.append(
            RequestRecord(
                request.method, unquote(raw_path), status, self.hub.clock.now(), seconds, name
            )
        )
