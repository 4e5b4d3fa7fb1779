"""The index of a modality: where every blob lies, how it is cut, and the hash of every part."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from lyra_data.dataset.files.byte_ranges import RESTORE, Range
from lyra_data.dataset.packing.packed import PartTable
from lyra_data.engine.errors import CorruptDataError

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
"""A row a blob, as the index has it but for its place."""

PLAIN_COLUMNS = ""
"""What the index calls the plain columns of a scene, which are one range of bytes."""

INDEX_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        *CUT_SCHEMA,
    ]
)
"""A row a blob and, before those of every scene, one for its plain columns."""


@dataclass(frozen=True)
class BlobPlace:
    """One blob, or the plain columns of one scene.

    Attributes:
        table: its parts.
        hashes: xxh3 of every part.
    """

    file: str
    row_group: int
    offset: int
    table: PartTable
    hashes: tuple[int, ...]

    def ranges(self, parts: Iterable[int]) -> list[Range]:
        """The bytes of some parts."""
        return [
            Range(self.file, self.offset + begin, self.offset + end)
            for begin, end in map(self.table.bounds, parts)
        ]

    def check(self, parts: Sequence[int], data: Sequence[bytes], place: str) -> None:
        """Compare parts with the hashes that the index states.

        Raises:
            CorruptDataError: naming the file and the first byte of the part that differs.
        """
        for part, found in zip(parts, data, strict=True):
            if xxhash.xxh3_64_intdigest(found) != self.hashes[part]:
                begin, end = self.table.bounds(part)
                raise CorruptDataError(
                    f"the file was cut or altered: bytes {self.offset + begin} to "
                    f"{self.offset + end} do not have the hash that the index states",
                    where=place,
                    fix=RESTORE,
                )


class BlobIndex:
    """One modality's index, as `writer` wrote it.

    Raises:
        ValueError: `data` is no index.
    """

    def __init__(self, data: bytes) -> None:
        table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
        if not table.schema.equals(INDEX_SCHEMA):
            raise ValueError("it does not have the columns of an index")
        self._table = table.combine_chunks()
        is_plain = pc.equal(table["field"], PLAIN_COLUMNS)  # type: ignore[attr-defined]
        starts = pc.indices_nonzero(is_plain).to_pylist()  # type: ignore[attr-defined]
        names = table["scene_id"].take(pa.array(starts, pa.int64())).to_pylist()
        ends = [*starts[1:], len(table)]
        self._rows = {
            name: (start, end) for name, start, end in zip(names, starts, ends, strict=True)
        }
        self._read: dict[str, dict[tuple[int, str], BlobPlace]] = {}

    def places(self, scene_id: str) -> dict[tuple[int, str], BlobPlace]:
        """By view_index and field; the plain columns are (-1, PLAIN_COLUMNS).

        Raises:
            ValueError: the index does not know the scene.
        """
        if scene_id not in self._rows:
            raise ValueError(f"the index does not name scene {scene_id}")
        if scene_id not in self._read:
            if len(self._read) > 64:
                self._read.clear()
            start, end = self._rows[scene_id]
            rows = self._table.slice(start, end - start).to_pylist()
            self._read[scene_id] = {(row["view_index"], row["field"]): _place(row) for row in rows}
        return self._read[scene_id]

    def all_places(self) -> Iterable[BlobPlace]:
        for row in self._table.to_pylist():
            yield _place(row)


def _place(row: dict[str, Any]) -> BlobPlace:
    table = PartTable(
        ends=tuple(row["part_ends"]),
        num_leading=row["num_leading"],
        key_frames=tuple(row["key_frames"]),
        shape=tuple(row["shape"]),
        codec=row["codec"],
        config=row["config"],
    )
    return BlobPlace(row["file"], row["row_group"], row["offset"], table, tuple(row["part_xxh3"]))
