"""Shards: the files of one modality as they are written, and where every blob lies in them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lyra_data.dataset.format.blob_index import INDEX_SCHEMA, PLAIN_COLUMNS
from lyra_data.dataset.format.layout import arrow_schema, blob_columns, columns_of, plain_columns
from lyra_data.dataset.writing.packed_scene import PackedScene


@dataclass
class OpenShard:
    """One shard of one modality while it is written; one scene after another, a row group each."""

    path: Path
    modality: str
    scenes: list[tuple[str, pa.Table]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._writer = _open_writer(self.path, self.modality)

    def add(self, scene: PackedScene) -> None:
        table = scene.tables[self.modality]
        self._writer.write_table(table, row_group_size=max(len(table), 1))
        self.scenes.append((scene.scene_id, scene.cuts[self.modality]))

    def abandon(self) -> None:
        """Close the file, whatever it holds: something went wrong."""
        self._writer.close()

    def close(self, file: str) -> pa.Table:
        """Finish the file; its rows of the index, in which it is called `file`."""
        self._writer.close()
        with self.path.open("rb") as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        metadata = pq.read_metadata(self.path)
        rows = []
        for number, (scene_id, cuts) in enumerate(self.scenes):
            located = _located(data, metadata.row_group(number), self.modality, scene_id, cuts)
            rows += [{**row, "file": file, "row_group": number} for row in located]
        return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _open_writer(path: Path, modality: str) -> pq.ParquetWriter:
    """A Parquet writer whose bytes depend on the rows alone.

    Blobs are compressed already, so columns are not; pages carry checksums and hold few blobs.
    """
    scalars = [
        column.name
        for column in columns_of(modality)
        if not column.is_last and not pa.types.is_nested(column.type)
    ]
    statistics: Any = scalars
    return pq.ParquetWriter(
        path,
        arrow_schema(modality),
        compression="none",
        use_dictionary=False,
        write_statistics=statistics,
        write_page_index=True,
        write_page_checksum=True,
        write_batch_size=1,
        data_page_size=64 * 1024,
        data_page_version="1.0",
        version="2.6",
    )


def _located(
    data: mmap.mmap, group: Any, modality: str, scene_id: str, cuts: pa.Table
) -> list[dict[str, Any]]:
    """The index of one scene: its plain columns, then its blobs in the order of `cuts`."""
    leaves = {}
    for index in range(group.num_columns):
        leaves[group.column(index).path_in_schema] = group.column(index)
    next_byte = {
        field: leaves[leaf].data_page_offset for field, leaf in blob_columns(modality).items()
    }
    begin, end = _plain_range(list(leaves.values()), modality)
    rows = [_plain_row(data, begin, end, scene_id)]
    for row in cuts.to_pylist():
        offset = _find_blob(data, row, next_byte[row["field"]])
        next_byte[row["field"]] = offset + row["length"]
        rows.append({**row, "offset": offset})
    return rows


def _plain_range(leaves: list[Any], modality: str) -> tuple[int, int]:
    """First byte and end of the plain columns' chunks, which stand before all others."""
    plain = set(plain_columns(modality))
    chunks = [leaf for leaf in leaves if leaf.path_in_schema.split(".")[0] in plain]
    ends = [chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks]
    return min(chunk.data_page_offset for chunk in chunks), max(ends)


def _plain_row(data: mmap.mmap, begin: int, end: int, scene_id: str) -> dict[str, Any]:
    return {
        "scene_id": scene_id,
        "view_index": -1,
        "field": PLAIN_COLUMNS,
        "offset": begin,
        "length": end - begin,
        "part_ends": [end - begin],
        "part_xxh3": [xxhash.xxh3_64_intdigest(data[begin:end])],
        "num_leading": 0,
        "key_frames": [],
        "shape": [],
        "codec": "",
        "config": b"",
    }


def _find_blob(data: mmap.mmap, row: dict[str, Any], start: int) -> int:
    """The offset of a blob at or after `start`: behind its length, with the hashes of its parts."""
    prefix = row["length"].to_bytes(4, "little")
    place = data.find(prefix, start)
    while place >= 0:
        offset = place + len(prefix)
        if _holds(data, row, offset):
            return offset
        place = data.find(prefix, place + 1)
    raise AssertionError(f"{row['scene_id']}: {row['field']} is not where it was written")


def _holds(data: mmap.mmap, row: dict[str, Any], offset: int) -> bool:
    begin = 0
    view = memoryview(data)
    for end, expected in zip(row["part_ends"], row["part_xxh3"], strict=True):
        if xxhash.xxh3_64_intdigest(view[offset + begin : offset + end]) != expected:
            return False
        begin = end
    return True
