"""State how a blob is cut into parts, with the hash of every part: a row a blob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import xxhash

from lyra_data.packing.packed import Packed, PartTable

CUT_SCHEMA = pa.schema(
    [
        pa.field("scene_id", pa.string(), nullable=False),
        pa.field("view_index", pa.int32(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("part_ends", pa.list_(pa.int64()), nullable=False),
        pa.field("part_xxh3", pa.list_(pa.uint64()), nullable=False),
        pa.field("num_leading", pa.int32(), nullable=False),
        pa.field("key_frames", pa.list_(pa.int32()), nullable=False),
        pa.field("shape", pa.list_(pa.int32()), nullable=False),
        pa.field("codec", pa.string(), nullable=False),
        pa.field("config", pa.binary(), nullable=False),
    ]
)
"""A row a blob: its row of the index without file, row group and offset."""


def cut_row(
    scene_id: str, view_index: int, field: str, table: PartTable, hashes: Sequence[int]
) -> dict[str, Any]:
    """Return a blob's row of CUT_SCHEMA, given the xxh3 of each of its parts."""
    return {
        "scene_id": scene_id,
        "view_index": view_index,
        "field": field,
        "length": table.ends[-1],
        "part_ends": list(table.ends),
        "part_xxh3": list(hashes),
        "num_leading": table.num_leading,
        "key_frames": list(table.key_frames),
        "shape": list(table.shape),
        "codec": table.codec,
        "config": table.config,
    }


def cut_of(scene_id: str, view_index: int, field: str, packed: Packed) -> dict[str, Any]:
    """Return a packed blob's row of CUT_SCHEMA."""
    table, data = packed.table, memoryview(packed.data)
    assert table.ends[-1] == len(data), (field, table.ends[-1], len(data))
    hashes = [
        xxhash.xxh3_64_intdigest(data[slice(*table.bounds(part))])
        for part in range(len(table.ends))
    ]
    return cut_row(scene_id, view_index, field, table, hashes)


def table_of_cut(row: Mapping[str, Any]) -> PartTable:
    """Return how a blob is cut, given its row of CUT_SCHEMA."""
    return PartTable(
        ends=tuple(row["part_ends"]),
        num_leading=row["num_leading"],
        key_frames=tuple(row["key_frames"]),
        shape=tuple(row["shape"]),
        codec=row["codec"],
        config=row["config"],
    )
