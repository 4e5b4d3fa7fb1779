"""Connections that a fault cuts: on the way in, on the way out, or before the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tests.hub.server.faults import Fault, Faults


class ConnectionCutError(Exception):
    """The end of a connection.

    Attributes:
        at_once: drop what was not sent yet.
    """

    def __init__(self, *, at_once: bool = True) -> None:
        super().__init__("cut")
        self.at_once = at_once


class Pieces(Response):
    """An answer in pieces as they come."""

    def __init__(
        self, status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes]
    ) -> None:
        self.status_code, self.pieces = status, pieces
        self.raw_headers = [
            (name.lower().encode(), words.encode()) for name, words in headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        transport = transport_of(send)
        async for piece in self.pieces:
            if transport.is_closing():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Connection:
    """A request's channels, counted, and cut where a fault says so.

    Attributes:
        before_end: called before the last of an answer is sent: whoever has the answer finds it
            recorded.
    """

    def __init__(
        self, receive: Receive, send: Send, faults: list[Fault], all_faults: Faults, request: str
    ) -> None:
        self._receive, self._send, self._all = receive, send, all_faults
        self._request = request
        self._cuts = {fault.kind: fault for fault in faults}
        self._num_received = self._num_sent = 0
        self.status = 0
        self.body_bytes = 0
        self.before_end: Callable[[], None] | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        fault = self._cuts.get("cut_request")
        if fault is None or message["type"] != "http.request":
            return message
        self._num_received += len(message.get("body", b""))
        limit = self._limit(fault, self.body_bytes)
        if self._num_received >= limit:
            raise ConnectionCutError
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        body = message.get("body", b"")
        fault = self._cuts.get("cut_answer")
        if message["type"] == "http.response.body" and fault is not None:
            limit = self._limit(fault, len(body))
            if self._num_sent + len(body) >= limit:
                part = body[: limit - self._num_sent]
                await self._send({"type": message["type"], "body": part, "more_body": True})
                raise ConnectionCutError(at_once=False)
            self._num_sent += len(body)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            before_end, self.before_end = self.before_end, None
            if before_end is not None:
                before_end()
        await self._send(message)

    def _limit(self, fault: Fault, whole: int) -> int:
        if fault.num_bytes is not None:
            return fault.num_bytes
        return int(self._all.draw(self._request, "bytes") * whole)


def transport_of(send: Any) -> asyncio.Transport:
    """Return uvicorn's transport: ASGI itself has no way to cut a connection."""
    owner = send.__self__
    return owner.transport if hasattr(owner, "transport") else transport_of(owner._send)


async def cut(send: Any, *, at_once: bool) -> None:
    transport = transport_of(send)
    if at_once:
        transport.abort()
    else:
        transport.close()  # what was written is still sent
    while not send.__self__.disconnected:
        await asyncio.sleep(0.001)
