"""The formats of Xet: xorbs (chunks, each compressed) and shards (lists of files and of xorbs).

Source: the protocol's specification, https://huggingface.co/docs/xet. Numbers are little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

SHARD_TAG = b"HFRepoMetaData\0" + bytes(
    [85, 105, 103, 69, 106, 123, 129, 87, 131, 165, 189, 217, 92, 205, 209, 74, 169]
)
SHARD_HEADER = 48
ENTRY = 48
LAST_HASH = b"\xff" * 32
FOOTER_BYTES = 200
WITH_VERIFICATION, WITH_METADATA = 1 << 31, 1 << 30
XORB_FOOTER = b"XETBLOB"
PLAIN, LZ4, GROUPED_LZ4 = 0, 1, 2


def written_hash(data: bytes) -> str:
    """Return a hash as Xet writes it: each 8 bytes as one number."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", data))


@dataclass(frozen=True)
class Chunk:
    """A chunk of a xorb.

    Attributes:
        begin, end: where it lies in the xorb, its header of 8 bytes included.
    """

    begin: int
    end: int
    data: bytes


def chunks_of(xorb: bytes) -> list[Chunk]:
    """Return a xorb's chunks.

    Raises:
        ValueError: the bytes are not chunks.
    """
    chunks, position = [], 0
    while position < len(xorb) and xorb[position : position + 7] != XORB_FOOTER:
        header = xorb[position : position + 8]
        if len(header) < 8 or header[0] != 0:
            raise ValueError("no chunk's header")
        packed = int.from_bytes(header[1:4], "little")
        size = int.from_bytes(header[5:8], "little")
        end = position + 8 + packed
        data = _unpacked(header[4], xorb[position + 8 : end], size)
        if end > len(xorb) or len(data) != size:
            raise ValueError("a chunk is cut off")
        chunks.append(Chunk(position, end, data))
        position = end
    return chunks


def _unpacked(scheme: int, packed: bytes, size: int) -> bytes:
    if scheme == PLAIN:
        return packed
    if scheme not in (LZ4, GROUPED_LZ4):
        raise ValueError(f"unknown compression {scheme}")
    try:
        data = pa.Codec("lz4").decompress(packed, decompressed_size=size, asbytes=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error
    return data if scheme == LZ4 else _regrouped(data)


def _regrouped(data: bytes) -> bytes:
    """Undo the grouping of every 4th byte: four runs, the first ones longer by the remainder."""
    regrouped = np.empty(len(data), np.uint8)
    grouped, position = np.frombuffer(data, np.uint8), 0
    for first in range(4):
        count = len(range(first, len(data), 4))
        regrouped[first::4] = grouped[position : position + count]
        position += count
    return regrouped.tobytes()


@dataclass(frozen=True)
class Term:
    """Chunks of a xorb that are a part of a file, the last one excluded."""

    xorb: str
    num_bytes: int
    begin: int
    end: int


@dataclass(frozen=True)
class FileRecord:
    """A file of a shard: its Xet hash, its parts, and the SHA-256 that the client states."""

    hash: str
    terms: tuple[Term, ...]
    sha256: bytes | None


@dataclass(frozen=True)
class XorbRecord:
    """A xorb of a shard: the entries as they came, its header first, for other clients to see."""

    hash: bytes
    entries: bytes

    @property
    def chunk_hashes(self) -> list[bytes]:
        return [self.entries[at : at + 32] for at in range(ENTRY, len(self.entries), ENTRY)]


def read_shard(data: bytes) -> tuple[list[FileRecord], list[XorbRecord]]:
    """Return the files and the xorbs that a shard names.

    Raises:
        ValueError: it is no shard.
    """
    if data[:32] != SHARD_TAG:
        raise ValueError("no shard")
    entries = _entries(data)
    try:
        return list(_files(entries)), list(_xorbs(entries))
    except StopIteration:
        raise ValueError("the shard is cut off") from None


def _entries(data: bytes) -> Iterator[bytes]:
    return (data[at : at + ENTRY] for at in range(SHARD_HEADER, len(data) - ENTRY + 1, ENTRY))


def _files(entries: Iterator[bytes]) -> Iterator[FileRecord]:
    for header in entries:
        if header[:32] == LAST_HASH:
            return
        flags, num_terms = struct.unpack_from("<2I", header, 32)
        parts = [next(entries, b"") for _ in range(num_terms)]
        if flags & WITH_VERIFICATION:
            for _ in range(num_terms):
                next(entries, None)
        stated = next(entries, b"") if flags & WITH_METADATA else None
        terms = []
        for part in parts:
            _, num_bytes, begin, end = struct.unpack_from("<4I", part.ljust(ENTRY, b"\0"), 32)
            terms.append(Term(written_hash(part[:32].ljust(32, b"\0")), num_bytes, begin, end))
        sha256 = None if stated is None else stated[:32]
        yield FileRecord(written_hash(header[:32]), tuple(terms), sha256)


def _xorbs(entries: Iterator[bytes]) -> Iterator[XorbRecord]:
    for header in entries:
        if header[:32] == LAST_HASH:
            return
        num_chunks = struct.unpack_from("<I", header, 36)[0]
        chunks = b"".join(next(entries, b"") for _ in range(num_chunks))
        yield XorbRecord(header[:32], header + chunks)


def write_shard(xorbs: Sequence[XorbRecord], *, created: int, expires: int) -> bytes:
    """Return a shard that names xorbs alone, with the tables by which a client finds chunks."""
    last = LAST_HASH + bytes(ENTRY - 32)
    ordered = sorted(xorbs, key=lambda xorb: xorb.hash)
    xorb_table, chunk_table, index = [], [], 0
    for xorb in ordered:
        xorb_table.append(xorb.hash[:8] + struct.pack("<I", index))
        chunk_table += [
            (struct.unpack("<Q", chunk[:8])[0], index, number)
            for number, chunk in enumerate(xorb.chunk_hashes)
        ]
        index += len(xorb.entries) // ENTRY
    listed = b"".join(xorb.entries for xorb in ordered) + last
    xorb_begin = SHARD_HEADER + ENTRY
    tables_begin = xorb_begin + len(listed)
    chunks_begin = tables_begin + 12 * len(xorb_table)
    footer_begin = chunks_begin + 16 * len(chunk_table)
    footer = struct.pack(
        "<9Q32x2Q48x4Q",
        1,
        SHARD_HEADER,
        xorb_begin,
        tables_begin,
        0,
        tables_begin,
        len(xorb_table),
        chunks_begin,
        len(chunk_table),
        created,
        expires,
        0,
        0,
        0,
        footer_begin,
    )
    tables = b"".join(xorb_table)
    tables += b"".join(struct.pack("<Q2I", *row) for row in sorted(chunk_table))
    return SHARD_TAG + struct.pack("<2Q", 2, FOOTER_BYTES) + last + listed + tables + footer
