"""The storage for large files: uploads in one piece or in parts, and downloads by ranges.

A client reaches it under another host name than the Hub's, and must not send its token there.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tests.hub.server.access import json_body, proposable
from tests.hub.server.connections import ConnectionCutError, Pieces
from tests.hub.server.records import Served
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import HubState, Repository

At = dict[str, str]
MOST_OF_AN_ENDLESS_ANSWER = 300_000_000


async def batch(hub: HubState, request: Request, at: At) -> Response:
    """Say for each content where its bytes go; nothing where they are there already."""
    proposable(hub, request, at)
    body = await json_body(request)
    if body.get("hash_algo", "sha256") != "sha256":
        raise RefusalError(409, "only sha256 is known")
    answers = [_batch_answer(hub, thing["oid"], thing["size"]) for thing in body["objects"]]
    return JSONResponse({"transfer": "basic", "objects": answers})


def _batch_answer(hub: HubState, sha256: str, size: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"oid": sha256, "size": size}
    if sha256 in hub.contents.large:
        return answer
    verify = {"href": f"{hub.endpoint}/lfs/verify"}
    if size < hub.multipart_from:
        upload: dict[str, Any] = {"href": f"{hub.storage}/lfs/upload/{sha256}"}
    else:
        num_parts = -(-size // hub.part_bytes)
        parts = {
            str(number): f"{hub.storage}/lfs/part/{sha256}/{number}"
            for number in range(1, num_parts + 1)
        }
        header = {"chunk_size": str(hub.part_bytes), **parts}
        upload = {"href": f"{hub.endpoint}/lfs/complete/{sha256}", "header": header}
    return answer | {"actions": {"upload": upload, "verify": verify}}


async def upload(hub: HubState, request: Request, at: At) -> Response:
    data = await _received(hub, request, at["sha256"])
    _keep(hub, at["sha256"], data)
    return Response(headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})


async def upload_part(hub: HubState, request: Request, at: At) -> Response:
    data = await _received(hub, request, at["sha256"])
    hub.parts.setdefault(at["sha256"], {})[int(at["number"])] = data
    return Response(headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})


async def complete(hub: HubState, request: Request, at: At) -> Response:
    body = await json_body(request)
    parts = hub.parts.get(at["sha256"], {})
    for part in body["parts"]:
        data = parts.get(part["partNumber"])
        if data is None or part["etag"].strip('"') != hashlib.md5(data).hexdigest():
            raise RefusalError(400, f"part {part['partNumber']} is not here")
    whole = b"".join(parts[part["partNumber"]] for part in body["parts"])
    _keep(hub, at["sha256"], whole)
    hub.parts.pop(at["sha256"], None)
    return JSONResponse({})


async def verify(hub: HubState, request: Request, at: At) -> Response:
    body = await json_body(request)
    data = hub.contents.large.get(body["oid"])
    if data is None or len(data) != body["size"]:
        raise RefusalError(404, f"{body['oid']} is not here with {body['size']} bytes")
    return JSONResponse({})


def note_token(hub: HubState, request: Request) -> None:
    if "Authorization" in request.headers:
        hub.records.tokens_elsewhere.append(request.headers["Authorization"])


async def _received(hub: HubState, request: Request, content: str) -> bytes:
    """Return a body, every byte of it counted as it arrives."""
    note_token(hub, request)
    pieces = []
    try:
        async for piece in request.stream():
            hub.records.receive(content, len(piece))
            pieces.append(piece)
    except ClientDisconnect:
        raise ConnectionCutError from None
    data = b"".join(pieces)
    if any(fault.kind == "alter_request" for fault in request.scope["faults"]) and data:
        data = data[:-1] + bytes([data[-1] ^ 1])
    return data


def _keep(hub: HubState, sha256: str, data: bytes) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RefusalError(400, f"the bytes that arrived do not have the hash {sha256}")
    hub.contents.large[sha256] = data
    hub.records.finished[sha256] += 1


def address(hub: HubState, repository: Repository, sha256: str, name: str) -> str:
    return f"{hub.storage}/large/{sha256}/{quote(repository.key, safe='')}/{quote(name)}"


async def download(hub: HubState, request: Request, at: At) -> Response:
    note_token(hub, request)
    faults = hub.faults
    if faults.is_cut.is_set():
        raise RefusalError(503, "the storage is away")
    data = hub.contents.large.get(at["sha256"])
    if data is None:
        raise RefusalError(404, "no such content")
    if faults.alter:
        data = data[:-1] + bytes([data[-1] ^ 1])
    if faults.endless:
        return Pieces(200, {}, _endless(hub, at["path"], data))
    answer = ranged(hub, request, data, at["repository"], at["path"])
    rest = len(answer.body)
    if request.method == "HEAD":
        return answer
    first = _first_byte(request)
    if faults.cut_after is None or answer.status_code == 416:
        hub.records.served.append(Served(at["path"], first, rest))
        return answer
    sent = bytes(answer.body[: faults.cut_after])
    hub.records.served.append(Served(at["path"], first, len(sent)))
    return Pieces(answer.status_code, dict(answer.headers), _cut(hub, sent))


def _first_byte(request: Request) -> int:
    match = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
    return int(match[1]) if match else 0


def ranged(
    hub: HubState, request: Request, data: bytes, owner: str, name: str, **headers: str
) -> Response:
    """Answer with the bytes that a request's Range names, and count them."""
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    stated = {"Accept-Ranges": "bytes", **headers}
    if asked is None:
        part, status, first = data, 200, 0
    else:
        first, end = _bounds(asked[1], asked[2], len(data))
        if first >= end:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
        part, status = data[first:end], 206
        stated["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
    if request.method != "HEAD":
        hub.records.bytes_served[owner, name] += len(part)
        if asked is not None:
            hub.records.range_requests.append(Served(name, first, len(part)))
    return Response(part, status, stated, media_type="application/octet-stream")


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last so many bytes
        return max(size - int(last or 0), 0), size
    return int(first), min(int(last) + 1, size) if last else size


async def _cut(hub: HubState, sent: bytes) -> AsyncIterator[bytes]:
    yield sent
    hub.faults.is_cut.set()
    while hub.faults.stall and not hub.faults.stop.is_set():
        await asyncio.sleep(0.02)
    raise ConnectionCutError(at_once=False)


async def _endless(hub: HubState, name: str, data: bytes) -> AsyncIterator[bytes]:
    for _ in range(MOST_OF_AN_ENDLESS_ANSWER // len(data)):
        hub.records.served.append(Served(name, 0, len(data)))
        yield data
