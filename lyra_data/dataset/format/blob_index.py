"""Index the blobs of a modality: the offset of each, how it is cut, and the hash of every part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from lyra_data.dataset.files.byte_ranges import Range
from lyra_data.dataset.files.corruption import altered
from lyra_data.packing.cuts import CUT_SCHEMA, table_of_cut
from lyra_data.packing.packed import PartTable

PLAIN_COLUMNS = ""
"""Stands in the column `field` for the plain columns of a row group, which are one range of bytes.
"""

INDEX_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        *CUT_SCHEMA,
    ]
)
"""A row a blob and, before those of every row group, one for its plain columns. Its view_index is
-1 in a scene's first row group, -2 in the second, and so on."""


def plain_key(group: int) -> tuple[int, str]:
    """Return the key of the plain columns of a scene's row group of that number, from 0."""
    return -1 - group, PLAIN_COLUMNS


@dataclass(frozen=True)
class BlobEntry:
    """One blob, or the plain columns of one row group, as the index has it.

    Attributes:
        offset: its first byte in the file.
        table: how it is cut into parts.
        hashes: xxh3 of every part.
    """

    file: str
    row_group: int
    offset: int
    table: PartTable
    hashes: tuple[int, ...]

    def ranges(self, parts: Iterable[int]) -> list[Range]:
        """Return the bytes of some parts."""
        return [Range(self.file, *self.bounds(part)) for part in parts]

    def bounds(self, part: int) -> tuple[int, int]:
        """Return the first byte of a part in the file, and its end."""
        begin, end = self.table.bounds(part)
        return self.offset + begin, self.offset + end

    def changed_parts(self, parts: Iterable[int], data: Sequence[Any]) -> Iterator[int]:
        """Yield those parts whose bytes do not have the hash that the index states."""
        for part, piece in zip(parts, data, strict=True):
            if xxhash.xxh3_64_intdigest(piece) != self.hashes[part]:
                yield part

    def check(self, parts: Iterable[int], data: Sequence[Any], address: str) -> None:
        """Compare parts with the hashes that the index states.

        Args:
            address: of the file, for the message.

        Raises:
            CorruptDataError: naming the file and the first byte of the part that differs.
        """
        for part in self.changed_parts(parts, data):
            raise altered(address, self.describe_change(part))

    def describe_change(self, part: int) -> str:
        """Return the words for a part that has another hash than the index states."""
        begin, end = self.bounds(part)
        return f"bytes {begin} to {end} do not have the hash that the index states"


BlobEntries = Mapping[tuple[int, str], BlobEntry]
"""Blobs of one scene by view_index and field."""


class BlobIndex:
    """The index of one modality.

    Args:
        data: the bytes of the file that `writing.writer` wrote.

    Raises:
        ValueError: `data` is no index.
    """

    def __init__(self, data: bytes) -> None:
        # Not `read_table`: its threads may still hold Python's objects when the process ends, which
        # aborts it.
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        if not table.schema.equals(INDEX_SCHEMA):
            raise ValueError("it does not have the columns of an index")
        self._table = table.combine_chunks()
        first = pc.equal(table["view_index"], -1)  # type: ignore[attr-defined]
        is_plain = pc.and_(first, pc.equal(table["field"], PLAIN_COLUMNS))  # type: ignore[attr-defined]
        starts = pc.indices_nonzero(is_plain).to_pylist()  # type: ignore[attr-defined]
        names = table["scene_id"].take(pa.array(starts, pa.int64())).to_pylist()
        ends = [*starts[1:], len(table)]
        self._rows = {
            name: (start, end) for name, start, end in zip(names, starts, ends, strict=True)
        }
        self._parsed: dict[str, BlobEntries] = {}

    def entries(self, scene_id: str) -> BlobEntries:
        """Return the blobs of a scene; its plain columns have the keys `plain_key`.

        Raises:
            ValueError: the index does not know the scene.
        """
        if scene_id not in self._rows:
            raise ValueError(f"the index does not name scene {scene_id}")
        parsed = self._parsed.get(scene_id)
        if parsed is None:
            if len(self._parsed) > 64:  # a dataset may have a hundred thousand scenes
                self._parsed.clear()  # another thread may do so at any moment
            start, end = self._rows[scene_id]
            rows = self._table.slice(start, end - start).to_pylist()
            parsed = {(row["view_index"], row["field"]): _entry(row) for row in rows}
            self._parsed[scene_id] = parsed
        return parsed

    def files(self) -> set[str]:
        """Return the files that blobs are said to lie in."""
        return set(pc.unique(self._table["file"]).to_pylist())  # type: ignore[attr-defined]

    def all_entries(self) -> Iterator[BlobEntry]:
        """Yield every blob and all plain columns, in the order they were written."""
        for row in self._table.to_pylist():
            yield _entry(row)


def _entry(row: dict[str, Any]) -> BlobEntry:
    hashes = tuple(row["part_xxh3"])
    return BlobEntry(row["file"], row["row_group"], row["offset"], table_of_cut(row), hashes)
