"""Index the blobs of a modality: the offset of each, how it is cut, and the hash of every part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


MAX_HELD_BYTES = 128 * 2**20
"""Rows of one modality that are kept in memory: those of some thousand scenes of Lyra's size."""

_NAMES = ["file", "scene_id", "view_index", "field"]

ROWS_AT_A_TIME = 256
"""Rows of the index that are Python's objects while all of a file are looked at."""

BlobEntries = Mapping[tuple[int, str], BlobEntry]
"""Blobs of one scene by view_index and field."""


class IndexSource(Protocol):
    """Holds the bytes of an index file; it can be pickled, and opened more than once."""

    def open(self) -> pa.NativeFile:
        """Open the file for Arrow."""
        ...


@dataclass(frozen=True)
class IndexBytes:
    """An index that is in memory."""

    data: bytes

    def open(self) -> pa.NativeFile:
        return pa.BufferReader(self.data)


class BlobIndex:
    """The index of one modality. Where the rows of every scene are is kept; the rows themselves
    are read when they are needed, those of one shard at a time.

    A row has a hash for every frame, so the rows of a hundred thousand scenes have gigabytes.

    Args:
        source: the file that `writing.writer` wrote: a row group for every shard.

    Raises:
        ValueError: it is no index.
    """

    def __init__(self, source: IndexSource) -> None:
        self._source = source
        self._scenes: dict[str, list[_Span]] = {}
        self._files: dict[str, list[_Span]] = {}
        with self._open() as file:
            if not file.schema_arrow.equals(INDEX_SCHEMA):
                raise ValueError("it does not have the columns of an index")
            for group in range(file.num_row_groups):
                self._note(group, file.read_row_group(group, _NAMES, use_threads=False))
        self._tables: dict[int, pa.Table] = {}
        self._parsed: dict[str, BlobEntries] = {}

    def entries(self, scene_id: str) -> BlobEntries:
        """Return the blobs of a scene; its plain columns have the keys `plain_key`.

        Raises:
            ValueError: the index does not know the scene.
        """
        if scene_id not in self._scenes:
            raise ValueError(f"the index does not name scene {scene_id}")
        parsed = self._parsed.get(scene_id)
        if parsed is None:
            if len(self._parsed) > 64:  # a dataset may have a hundred thousand scenes
                self._parsed.clear()  # another thread may do so at any moment
            rows = [row for span in self._scenes[scene_id] for row in self._rows(span)]
            parsed = {(row["view_index"], row["field"]): _entry(row) for row in rows}
            self._parsed[scene_id] = parsed
        return parsed

    def files(self) -> set[str]:
        """Return the files that blobs are said to lie in."""
        return set(self._files)

    def entries_of(self, file: str) -> Iterator[BlobEntry]:
        """Yield every blob and all plain columns of one file, in the order they were written.

        A few rows are Python's objects at a time.
        """
        for span in self._files.get(file, ()):
            for begin in range(span.start, span.end, ROWS_AT_A_TIME):
                end = min(begin + ROWS_AT_A_TIME, span.end)
                yield from map(_entry, self._rows(_Span(span.group, begin, end)))

    def _note(self, group: int, names: pa.Table) -> None:
        """Note which rows of a row group are of which scene and of which file."""
        first = pc.equal(names["view_index"], -1)  # type: ignore[attr-defined]
        is_plain = pc.and_(first, pc.equal(names["field"], PLAIN_COLUMNS))  # type: ignore[attr-defined]
        starts = pc.indices_nonzero(is_plain).to_pylist()  # type: ignore[attr-defined]
        scenes = names["scene_id"].take(pa.array(starts, pa.int64())).to_pylist()
        if self._scenes and starts[:1] != [0]:  # a scene that the former row group began
            starts, scenes = [0, *starts], [next(reversed(self._scenes)), *scenes]
        for scene, start, end in zip(scenes, starts, [*starts[1:], len(names)], strict=True):
            self._scenes.setdefault(scene, []).append(_Span(group, start, end))
        runs = pc.run_end_encode(names["file"].combine_chunks())  # type: ignore[attr-defined]
        start = 0
        for file, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            self._files.setdefault(file, []).append(_Span(group, start, end))
            start = end

    def _rows(self, span: _Span) -> list[dict[str, Any]]:
        return self._table(span.group).slice(span.start, span.end - span.start).to_pylist()

    def _table(self, group: int) -> pa.Table:
        """Return the rows of one shard."""
        table = self._tables.get(group)
        if table is None:
            with self._open() as file:
                table = file.read_row_group(group, use_threads=False).combine_chunks()
            held = sum(other.nbytes for other in list(self._tables.values()))
            if held + table.nbytes > MAX_HELD_BYTES:
                self._tables.clear()  # another thread may do so at any moment
            self._tables[group] = table
        return table

    def _open(self) -> pq.ParquetFile:
        # Not `read_table`: its threads may still hold Python's objects when the process ends, which
        # aborts it.
        return pq.ParquetFile(self._source.open(), page_checksum_verification=True)


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows of one row group, `start` to before `end`."""

    group: int
    start: int
    end: int


def _entry(row: dict[str, Any]) -> BlobEntry:
    hashes = tuple(row["part_xxh3"])
    return BlobEntry(row["file"], row["row_group"], row["offset"], table_of_cut(row), hashes)
