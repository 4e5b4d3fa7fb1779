"""Xet storage: tokens, xorbs, shards, the parts of a file, and chunks that are here already.

hf_xet reaches it under the storage's host name, with a token of its own for one repository.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tests.hub.server import storage
from tests.hub.server.access import proposable, readable, require_contents, writable
from tests.hub.server.connections import ConnectionCutError
from tests.hub.server.refusals import RefusalError
from tests.hub.server.state import HubState
from tests.hub.server.xet_formats import (
    Chunk,
    FileRecord,
    Term,
    XorbRecord,
    chunks_of,
    read_shard,
    write_shard,
    written_hash,
)

At = dict[str, str]
WEEK = 7 * 24 * 3600


@dataclass
class XetStore:
    """What came by Xet.

    Attributes:
        tokens: whether it may write, by token.
        xorbs, chunks: bytes and parsed chunks by the xorb's hash.
        files: records by the file's Xet hash.
        known: the xorb that a chunk lies in, by the chunk's hash as Xet writes it.
        finished: SHA-256 of all chunks of finished files.
    """

    tokens: dict[str, bool] = field(default_factory=dict)
    xorbs: dict[str, bytes] = field(default_factory=dict)
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)
    known: dict[str, XorbRecord] = field(default_factory=dict)
    finished: set[bytes] = field(default_factory=set)

    def parts(self, term: Term) -> list[Chunk]:
        return self.chunks[term.xorb][term.begin : term.end]


def store_of(hub: HubState) -> XetStore:
    if hub.xet is None:
        hub.xet = XetStore()
    return hub.xet


async def tell_token(hub: HubState, request: Request, at: At) -> Response:
    """Give a token to who may read, or write; anyone who may propose writes for a new proposal."""
    writes = at["scope"] == "write"
    if not writes:
        require_contents(hub, request, readable(hub, request, at))
    else:
        (proposable if at["revision"] == "None" else writable)(hub, request, at)
    token = f"xet_{at['scope']}_{secrets.token_hex(8)}"
    store_of(hub).tokens[token] = writes
    expires = int(time.time()) + 3600
    address = f"{hub.storage}/cas"
    headers = {
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(expires),
        "X-Xet-Cas-Url": address,
    }
    answer = {"accessToken": token, "exp": expires, "casUrl": address}
    return JSONResponse(answer, headers=headers)


def _require_token(hub: HubState, request: Request, *, writes: bool) -> None:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token in hub.accounts:
        storage.note_token(hub, request)
    may_write = store_of(hub).tokens.get(token)
    if may_write is None:
        raise RefusalError(401, "a Xet token is needed")
    if writes and not may_write:
        raise RefusalError(403, "this Xet token reads only")


async def take_xorb(hub: HubState, request: Request, at: At) -> Response:
    _require_token(hub, request, writes=True)
    name, store = at["hash"], store_of(hub)
    data = await _received(hub, request, name)
    try:
        chunks = chunks_of(data)
    except ValueError as error:
        raise RefusalError(400, f"xorb {name}: {error}") from None
    again = [c for c in chunks if hashlib.sha256(c.data).digest() in store.finished]
    if again:
        hub.records.resent[name] += sum(chunk.end - chunk.begin for chunk in again)
    is_new = name not in store.xorbs
    store.xorbs[name], store.chunks[name] = data, chunks
    return JSONResponse({"was_inserted": is_new})


async def _received(hub: HubState, request: Request, content: str) -> bytes:
    pieces = []
    try:
        async for piece in request.stream():
            hub.records.received[content] += len(piece)
            pieces.append(piece)
    except ClientDisconnect:
        raise ConnectionCutError from None
    data = b"".join(pieces)
    if any(fault.kind == "alter_request" for fault in request.scope["faults"]) and data:
        data = data[:-1] + bytes([data[-1] ^ 1])
    return data


async def take_shard(hub: HubState, request: Request, at: At) -> Response:
    """Register files, each put together from its chunks and compared with the stated SHA-256."""
    _require_token(hub, request, writes=True)
    try:
        files, xorbs = read_shard(await request.body())
    except (ValueError, IndexError) as error:
        raise RefusalError(400, f"shard: {error}") from None
    wholes = [_whole(hub, file) for file in files]
    store = store_of(hub)
    for xorb in xorbs:
        if written_hash(xorb.hash) in store.xorbs:
            store.known.update({written_hash(chunk): xorb for chunk in xorb.chunk_hashes})
    for file, data in zip(files, wholes, strict=True):
        sha256 = hashlib.sha256(data).hexdigest()
        store.files[file.hash] = file
        hub.contents.large[sha256] = data
        hub.contents.xet_hashes[sha256] = file.hash
        hub.records.finished[sha256] += 1
        for term in file.terms:
            store.finished.update(hashlib.sha256(c.data).digest() for c in store.parts(term))
    return JSONResponse({"result": 1})


def _whole(hub: HubState, file: FileRecord) -> bytes:
    store, pieces = store_of(hub), []
    for term in file.terms:
        if term.end > len(store.chunks.get(term.xorb, [])):
            raise RefusalError(400, f"file {file.hash}: xorb {term.xorb} is not here")
        pieces += [chunk.data for chunk in store.parts(term)]
    data = b"".join(pieces)
    sha256 = hashlib.sha256(data).hexdigest()
    if file.sha256 is not None and written_hash(file.sha256) != sha256:
        raise RefusalError(400, f"file {file.hash}: its bytes have the SHA-256 {sha256}")
    return data


async def tell_parts(hub: HubState, request: Request, at: At) -> Response:
    """Say which chunks of which xorbs make up a file, or the asked range of it."""
    _require_token(hub, request, writes=False)
    file = store_of(hub).files.get(at["hash"])
    if file is None:
        raise RefusalError(404, f"no file {at['hash']}")
    size = sum(term.num_bytes for term in file.terms)
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    first, end = (int(asked[1]), int(asked[2]) + 1) if asked else (0, size)
    if first >= size and size:
        raise RefusalError(416, f"the file has {size} bytes")
    offset, terms = _terms_within(store_of(hub), file, first, min(end, size))
    fetches: dict[str, list[dict[str, Any]]] = {}
    for term in terms:
        fetches.setdefault(term.xorb, []).append(_fetch(hub, term))
    return JSONResponse(
        {
            "offset_into_first_range": offset,
            "terms": [
                {
                    "hash": term.xorb,
                    "unpacked_length": term.num_bytes,
                    "range": {"start": term.begin, "end": term.end},
                }
                for term in terms
            ],
            "fetch_info": fetches,
        }
    )


def _terms_within(
    store: XetStore, file: FileRecord, first: int, end: int
) -> tuple[int, list[Term]]:
    """Return the chunks that hold bytes from `first` to `end`, and where `first` lies in them."""
    position, offset, terms = 0, 0, []
    for term in file.terms:
        begin, stop, num_bytes = term.end, term.end, 0
        for number, chunk in enumerate(store.parts(term), term.begin):
            size = len(chunk.data)
            if position < end and position + size > first:
                if not terms and num_bytes == 0:
                    offset = first - position
                begin, stop, num_bytes = min(begin, number), number + 1, num_bytes + size
            position += size
        if num_bytes:
            terms.append(Term(term.xorb, num_bytes, begin, stop))
    return offset, terms


def _fetch(hub: HubState, term: Term) -> dict[str, Any]:
    parts = store_of(hub).parts(term)
    return {
        "range": {"start": term.begin, "end": term.end},
        "url": f"{hub.storage}/xorbs/{term.xorb}",
        "url_range": {"start": parts[0].begin, "end": parts[-1].end - 1},
    }


async def send_xorb(hub: HubState, request: Request, at: At) -> Response:
    storage.note_token(hub, request)
    data = store_of(hub).xorbs.get(at["hash"])
    if data is None:
        raise RefusalError(404, f"no xorb {at['hash']}")
    return storage.ranged(hub, request, data, "xorb", at["hash"])


async def tell_chunk(hub: HubState, request: Request, at: At) -> Response:
    """Answer with a shard that names the xorb of a known chunk, so that it is not sent again."""
    _require_token(hub, request, writes=False)
    xorb = store_of(hub).known.get(at["hash"])
    if xorb is None:
        raise RefusalError(404, f"chunk {at['hash']} is not known")
    now = int(time.time())
    return Response(write_shard([xorb], created=now, expires=now + WEEK))


async def take_telemetry(hub: HubState, request: Request, at: At) -> Response:
    return JSONResponse({})
