"""Read a scene as it is stored: rows and blobs, every part checked, nothing decoded.

Whatever copies or checks a dataset reads this. `scene_reader` is for whoever needs frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.files.byte_ranges import Range
from lyra_data.dataset.files.corruption import corruption_of
from lyra_data.dataset.format.blob_index import BlobEntries
from lyra_data.dataset.format.layout import NESTED_BYTES_LIMIT, VIDEO_TYPE, blob_columns
from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.plain_columns import require_scene
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_safe_name, shortened
from lyra_data.packing.cuts import CUT_SCHEMA, cut_row
from lyra_data.packing.packed import Packed
from lyra_data.views.fields import FIELD_BY_NAME, Row

KEYS = ("scene_id", "view_index", "trajectory")
"""Columns that say which view of which scene a row is."""


class StoredScene:
    """One scene of a dataset as it is stored."""

    def __init__(self, files: DatasetFiles, entry: SceneEntry) -> None:
        self.files, self.entry = files, entry

    def rows(self, modality: str, columns: Sequence[str]) -> list[Row]:
        """Read some plain columns, a row a view; scene_id and view_index come with them.

        Raises:
            CorruptDataError: the bytes have changed, or are another scene's.
        """
        plain = self.files.plain_columns(self.entry, modality)
        data = self.files.read(self.files.plain.ranges(plain))
        return self.files.plain.rows(self.entry, plain, columns, data)

    def blobs(self, modality: str) -> BlobEntries:
        """Return what the index says of its blobs, by view_index and field.

        Raises:
            CorruptDataError: the index has changed, or does not know the scene.
        """
        return self.files.blobs(self.entry, modality)

    def blob(self, view_index: int, field: str) -> Packed:
        """Read the whole blob of a packed field.

        Raises:
            CorruptDataError: it has changed.
        """
        entry = self.blobs(FIELD_BY_NAME[field].modality)[view_index, field]
        parts = range(len(entry.table.ends))
        data = self.files.read(entry.ranges(parts))
        entry.check(parts, data, self.files.ranges.address(entry.file))
        return Packed(b"".join(data), entry.table)

    def table(self, modality: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows of a modality: pages are checked by their checksums, blobs by the index.

        Args:
            columns: those to read, besides scene_id and view_index; None: all.

        Raises:
            CorruptDataError: bytes have changed, naming the file and, of a blob, the bytes.
            InputError: its videos are too large for one column of Arrow.
        """
        plain = self.files.plain_columns(self.entry, modality)
        address = self.files.ranges.address(plain[0].file)
        with corruption_of(address):
            groups = []
            for group in plain:
                group.check([0], self.files.read(group.ranges([0])), address)
                groups.append(self._row_group(group.file, group.row_group, columns))
            table = pa.concat_tables(groups)
            names = [name for name in table.column_names if name in KEYS]
            require_scene(self.entry, table.select(names).to_pylist())
            _require_file_names(table)
            for field, leaf in blob_columns(modality).items():
                name = leaf.split(".")[0]
                if columns is None or name in columns:
                    self._check_blobs(table[name], modality, field)
        return table

    def cuts(self, modality: str, scene_id: str, view_indices: Sequence[int]) -> pa.Table:
        """Return how the blobs of some views are cut, for a scene to be called `scene_id`."""
        blobs = self.blobs(modality)
        rows = [
            cut_row(scene_id, view, field, blobs[view, field].table, blobs[view, field].hashes)
            for view in view_indices
            for field in blob_columns(modality)
        ]
        return pa.Table.from_pylist(rows, schema=CUT_SCHEMA)

    def _row_group(self, path: str, number: int, columns: Sequence[str] | None) -> pa.Table:
        """Read a row group, its column chunks in one go: they lie one after another."""
        metadata = self.files.plain.footer(path)
        group = metadata.row_group(number)
        chunks = [group.column(index) for index in range(group.num_columns)]
        begin = min(chunk.data_page_offset for chunk in chunks)
        end = max(chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks)
        size = self.files.plain.shard(path).size
        _require_readable(chunks, columns, self.files.ranges.address(path), self.entry.scene_id)
        source = self.files.ranges.open_for_arrow(path, size, [Range(path, begin, end)])
        names = None if columns is None else ["scene_id", "view_index", *columns]
        with pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file:
            return file.read_row_group(number, columns=names, use_threads=False)

    def _check_blobs(self, column: pa.ChunkedArray, modality: str, field: str) -> None:
        """Compare the blobs of a column with their hashes, without copying them."""
        blobs, row = self.blobs(modality), 0
        for chunk in column.chunks:
            values = chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk
            for value in values:
                entry = blobs[self.entry.view_indices[row], field]
                blob, row = memoryview(value.as_buffer()), row + 1
                if len(blob) != entry.table.ends[-1]:
                    raise ValueError(f"a blob of {field} has {len(blob)} bytes")
                parts = range(len(entry.table.ends))
                data: Any = [blob[slice(*entry.table.bounds(part))] for part in parts]
                entry.check(parts, data, self.files.ranges.address(entry.file))


def _require_readable(
    chunks: Sequence[Any], columns: Sequence[str] | None, address: str, scene_id: str
) -> None:
    """Refuse a column that Arrow cannot hold in one piece and cannot cut.

    Raises:
        InputError: naming the scene and the column.
    """
    for chunk in chunks:
        name, *inner = chunk.path_in_schema.split(".")
        read = columns is None or name in columns
        if inner and read and chunk.total_uncompressed_size >= NESTED_BYTES_LIMIT:
            raise InputError(
                f"{name} of scene {scene_id} has {chunk.total_uncompressed_size} bytes in one row "
                "group; 2 GiB and more cannot be copied",
                where=address,
                fix="package it again: its views go to several row groups, and with losses "
                "(package.rgb: train) they are smaller; or leave the scene out (--scene)",
            )


def _require_file_names(table: pa.Table) -> None:
    """Refuse pictures and videos whose stated names lead elsewhere, in whatever unpacks them.

    Raises:
        ValueError: one is no name.
    """
    for column in table.columns:
        if column.type == VIDEO_TYPE:
            for chunk in column.chunks:
                for name in chunk.field("path").to_pylist():
                    if not is_safe_name(name):
                        raise ValueError(f"{shortened(name)} is no name of a picture or a video")
