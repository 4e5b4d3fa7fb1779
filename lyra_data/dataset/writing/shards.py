"""Write shards, the files of one modality, and find every blob in them for the index."""

from __future__ import annotations

import logging
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lyra_data.dataset.format.blob_index import INDEX_SCHEMA, PLAIN_COLUMNS, cut_row
from lyra_data.dataset.format.layout import (
    NESTED_BYTES_LIMIT,
    arrow_schema,
    blob_columns,
    columns_of,
    plain_columns,
)
from lyra_data.dataset.packing.packed import PartTable
from lyra_data.dataset.writing.packed_scene import PackedScene
from lyra_data.views.parquet import open_parquet_writer

log = logging.getLogger(__name__)


@dataclass
class OpenShard:
    """One shard of one modality while it is written; one scene after another, a row group each."""

    path: Path
    modality: str
    scenes: list[tuple[str, pa.Table]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._writer = _open_writer(self.path, self.modality)

    def add(self, scene: PackedScene) -> None:
        _warn_of_size(scene.scene_id, self.modality, scene.cuts[self.modality])
        table = scene.tables[self.modality]
        self._writer.write_table(table, row_group_size=max(len(table), 1))
        self.scenes.append((scene.scene_id, scene.cuts[self.modality]))

    def abandon(self) -> None:
        """Close the file, whatever it holds: something went wrong."""
        self._writer.close()

    def close(self, file: str) -> pa.Table:
        """Finish the file, and return its rows of the index, in which it is called `file`."""
        self._writer.close()
        with self.path.open("rb") as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        metadata = pq.read_metadata(self.path)
        rows = []
        for number, (scene_id, cuts) in enumerate(self.scenes):
            located = _located(data, metadata.row_group(number), self.modality, scene_id, cuts)
            rows += [{**row, "file": file, "row_group": number} for row in located]
        return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _warn_of_size(scene_id: str, modality: str, cuts: pa.Table) -> None:
    """Warn where other programs will not read the videos of a scene, before they are written."""
    for blob, leaf in blob_columns(modality).items():
        sizes = [row["length"] for row in cuts.to_pylist() if row["field"] == blob]
        if "." in leaf and sum(sizes) >= NESTED_BYTES_LIMIT:
            log.warning(
                "scene %s: its %d views have %.1f GiB of %s in one row group; from 2 GiB on "
                "pyarrow, pandas and load_dataset cannot read it, only lyra-data can: encode it "
                "with losses (package.rgb: train), or give it fewer views",
                *(scene_id, len(sizes), sum(sizes) / 2**30, blob),
            )


def _open_writer(path: Path, modality: str) -> pq.ParquetWriter:
    scalars = [
        column.name
        for column in columns_of(modality)
        if not column.is_last and not pa.types.is_nested(column.type)
    ]
    return open_parquet_writer(path, arrow_schema(modality), statistics_of=scalars)


def _located(
    data: mmap.mmap, group: Any, modality: str, scene_id: str, cuts: pa.Table
) -> list[dict[str, Any]]:
    """Return the index of one scene: its plain columns, then its blobs in the order of `cuts`."""
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
    """Return first byte and end of the plain columns' chunks, which stand before all others."""
    plain = set(plain_columns(modality))
    chunks = [leaf for leaf in leaves if leaf.path_in_schema.split(".")[0] in plain]
    ends = [chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks]
    return min(chunk.data_page_offset for chunk in chunks), max(ends)


def _plain_row(data: mmap.mmap, begin: int, end: int, scene_id: str) -> dict[str, Any]:
    """Return the row of the plain columns: one blob of one part, of no codec."""
    table = PartTable((end - begin,), 0, (), (), codec="", config=b"")
    hashes = [xxhash.xxh3_64_intdigest(data[begin:end])]
    return {**cut_row(scene_id, -1, PLAIN_COLUMNS, table, hashes), "offset": begin}


def _find_blob(data: mmap.mmap, row: dict[str, Any], start: int) -> int:
    """Return the offset of a blob at or after `start`.

    Parquet writes a binary value as its length (4 bytes, little-endian) and its bytes. The length
    is looked for, and the hashes of the parts tell whether what follows it is the blob.
    """
    prefix = row["length"].to_bytes(4, "little")
    begin = data.find(prefix, start)
    while begin >= 0:
        offset = begin + len(prefix)
        if _holds(data, row, offset):
            return offset
        begin = data.find(prefix, begin + 1)
    raise AssertionError(f"{row['scene_id']}: {row['field']} is not where it was written")


def _holds(data: mmap.mmap, row: dict[str, Any], offset: int) -> bool:
    """Return whether the bytes from `offset` on have the hashes of the blob's parts."""
    begin = 0
    view = memoryview(data)
    for end, expected in zip(row["part_ends"], row["part_xxh3"], strict=True):
        if xxhash.xxh3_64_intdigest(view[offset + begin : offset + end]) != expected:
            return False
        begin = end
    return True
