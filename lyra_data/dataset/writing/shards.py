"""Write shards, the files of one modality, and find every blob in them for the index."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lyra_data.dataset.format.blob_index import INDEX_SCHEMA, plain_key
from lyra_data.dataset.format.layout import (
    NESTED_BYTES_LIMIT,
    arrow_schema,
    blob_columns,
    columns_of,
    plain_columns,
)
from lyra_data.dataset.writing.packed_scene import PackedScene
from lyra_data.packing.cuts import cut_row
from lyra_data.packing.packed import PartTable
from lyra_data.views.parquet import open_parquet_writer

log = logging.getLogger(__name__)


@dataclass
class OpenShard:
    """One shard of one modality while it is written, a row group after the other.

    Attributes:
        groups: of every row group its scene, its number in the scene, and the cuts of its blobs.
    """

    path: Path
    modality: str
    groups: list[tuple[str, int, pa.Table]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._writer = _open_writer(self.path, self.modality)

    def add(self, scene: PackedScene, rows_of_groups: Sequence[int]) -> None:
        """Write a scene's rows, so many in each row group."""
        table, cuts = scene.tables[self.modality], scene.cuts[self.modality]
        num_blobs = len(blob_columns(self.modality))
        begin = 0
        for number, rows in enumerate(rows_of_groups):
            cuts_of_group = cuts.slice(begin * num_blobs, rows * num_blobs)
            _warn_of_size(scene.scene_id, self.modality, cuts_of_group)
            self._writer.write_table(table.slice(begin, rows), row_group_size=max(rows, 1))
            self.groups.append((scene.scene_id, number, cuts_of_group))
            begin += rows

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
        for number, (scene_id, of_scene, cuts) in enumerate(self.groups):
            group = metadata.row_group(number)
            located = _located(data, group, self.modality, plain_key(of_scene), scene_id, cuts)
            rows += [{**row, "file": file, "row_group": number} for row in located]
        return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _warn_of_size(scene_id: str, modality: str, cuts: pa.Table) -> None:
    """Warn where other programs will not read the videos of a row group, before they are written:
    those of one view, for views are dealt out to row groups."""
    for blob, leaf in blob_columns(modality).items():
        sizes = [row["length"] for row in cuts.to_pylist() if row["field"] == blob]
        if "." in leaf and sum(sizes) >= NESTED_BYTES_LIMIT:
            log.warning(
                "scene %s: %d of its views have %.1f GiB of %s in one row group; from 2 GiB on "
                "pyarrow, pandas and load_dataset cannot read it, only lyra-data can: encode it "
                "with losses (package.rgb: train), or give it fewer frames",
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
    data: mmap.mmap,
    group: Any,
    modality: str,
    key: tuple[int, str],
    scene_id: str,
    cuts: pa.Table,
) -> list[dict[str, Any]]:
    """Return the index of one row group: its plain columns, called `key`, then its blobs in the
    order of `cuts`."""
    leaves = {}
    for index in range(group.num_columns):
        leaves[group.column(index).path_in_schema] = group.column(index)
    next_byte = {
        field: leaves[leaf].data_page_offset for field, leaf in blob_columns(modality).items()
    }
    begin, end = _plain_range(list(leaves.values()), modality)
    rows = [_plain_row(data, begin, end, key, scene_id)]
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


def _plain_row(
    data: mmap.mmap, begin: int, end: int, key: tuple[int, str], scene_id: str
) -> dict[str, Any]:
    """Return the row of the plain columns: one blob of one part, of no codec."""
    table = PartTable((end - begin,), 0, (), (), codec="", config=b"")
    hashes = [xxhash.xxh3_64_intdigest(data[begin:end])]
    return {**cut_row(scene_id, *key, table, hashes), "offset": begin}


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
