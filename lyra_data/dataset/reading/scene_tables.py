"""A scene's rows as they are stored, blobs and all, every part checked; nothing is decoded.

For what copies or checks a dataset. `reader` is for those who want frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.files.byte_ranges import ByteRanges, LocalFiles, Range
from lyra_data.dataset.files.corruption import corruption
from lyra_data.dataset.files.sparse_file import SparseFile
from lyra_data.dataset.format.blob_index import CUT_SCHEMA, PLAIN_COLUMNS, BlobIndex, BlobPlace
from lyra_data.dataset.format.layout import blob_columns
from lyra_data.dataset.format.manifest import Manifest, SceneEntry
from lyra_data.dataset.reading.checking import load_index
from lyra_data.dataset.reading.plain_columns import PlainColumns, read_footer

Places = dict[tuple[int, str], BlobPlace]


class SceneTables:
    """Reads scenes of one dataset; holds the indexes of the modalities that were asked for."""

    def __init__(self, files: ByteRanges, manifest: Manifest) -> None:
        self.files, self.manifest = files, manifest
        self._plain = PlainColumns(files, manifest)
        self._shards = {shard.path: shard for shard in manifest.shards}
        self._indexes: dict[str, BlobIndex] = {}

    def rows(
        self, entry: SceneEntry, modality: str, columns: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Some plain columns of a scene, a row a view.

        Raises:
            CorruptDataError: the bytes have changed, or are another scene's.
        """
        place = self.places(entry, modality)[-1, PLAIN_COLUMNS]
        with corruption(self.files.place(place.file)):
            wanted = list(dict.fromkeys(["scene_id", "view_index", *columns]))
            data = self.files.read(self._plain.ranges(place))
            found = self._plain.rows(place, wanted, data)
            _require_scene(entry, [row["scene_id"] for row in found], found)
        return found

    def places(self, entry: SceneEntry, modality: str) -> Places:
        """Where its blobs lie, by view_index and field.

        Raises:
            CorruptDataError: the index has changed, or does not know the scene.
        """
        with corruption(self.files.place(f"meta/index/{modality}.parquet")):
            return self.index(modality).places(entry.scene_id)

    def index(self, modality: str) -> BlobIndex:
        if modality not in self._indexes:
            self._indexes[modality] = load_index(self.files, self.manifest, modality)
        return self._indexes[modality]

    def table(
        self, entry: SceneEntry, modality: str, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of a scene, checked: pages against their checksums, blobs against the index.

        Args:
            columns: those to read; None: all.

        Raises:
            CorruptDataError: bytes have changed, naming the file and, of a blob, the bytes.
        """
        places = self.places(entry, modality)
        plain = places[-1, PLAIN_COLUMNS]
        with corruption(self.files.place(plain.file)):
            plain.check([0], self.files.read(plain.ranges([0])), self.files.place(plain.file))
            table = self._row_group(plain.file, plain.row_group, columns)
            keys = table.select(["scene_id", "view_index"]).to_pylist()
            _require_scene(entry, [row["scene_id"] for row in keys], keys)
            for field, leaf in blob_columns(modality).items():
                name = leaf.split(".")[0]
                if columns is None or name in columns:
                    self._check_blobs(table[name], entry, places, field)
        return table

    def cuts(
        self, entry: SceneEntry, modality: str, scene_id: str, view_indices: Sequence[int]
    ) -> pa.Table:
        """How the blobs of some views are cut, for a scene that is to be called `scene_id`."""
        places = self.places(entry, modality)
        rows = [
            {
                "scene_id": scene_id,
                "view_index": view_index,
                "field": field,
                "length": place.table.ends[-1],
                "part_ends": list(place.table.ends),
                "part_xxh3": list(place.hashes),
                "num_leading": place.table.num_leading,
                "key_frames": list(place.table.key_frames),
                "shape": list(place.table.shape),
                "codec": place.table.codec,
                "config": place.table.config,
            }
            for view_index in view_indices
            for field in blob_columns(modality)
            for place in [places[view_index, field]]
        ]
        return pa.Table.from_pylist(rows, schema=CUT_SCHEMA)

    def _row_group(self, path: str, number: int, columns: Sequence[str] | None) -> pa.Table:
        if isinstance(self.files, LocalFiles):  # mapped: a scene may have gigabytes
            source: Any = pa.memory_map(self.files.place(path))
        else:
            source = pa.PythonFile(self._fetched(path, number), mode="r")
        wanted = None if columns is None else ["scene_id", "view_index", *columns]
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            return file.read_row_group(number, columns=wanted, use_threads=False)

    def _fetched(self, path: str, number: int) -> SparseFile:
        """A row group and the footer of a file afar, read in one go."""
        footer = read_footer(self.files, self._shards[path])
        group = pq.ParquetFile(pa.BufferReader(b"PAR1" + footer)).metadata.row_group(number)
        chunks = [group.column(index) for index in range(group.num_columns)]
        begin = min(chunk.data_page_offset for chunk in chunks)
        end = max(chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks)
        (data,) = self.files.read([Range(path, begin, end)])
        size = self._shards[path].size
        return SparseFile(size, [(begin, data), (size - len(footer), footer)])

    def _check_blobs(
        self, column: pa.ChunkedArray, entry: SceneEntry, places: Places, field: str
    ) -> None:
        row = 0
        for chunk in column.chunks:
            values = chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk
            for value in values:
                place = places[entry.view_indices[row], field]
                blob, row = memoryview(value.as_buffer()), row + 1
                if len(blob) != place.table.ends[-1]:
                    raise ValueError(f"a blob of {field} has {len(blob)} bytes")
                parts = range(len(place.table.ends))
                data: Any = [blob[slice(*place.table.bounds(part))] for part in parts]
                place.check(parts, data, self.files.place(place.file))


def _require_scene(entry: SceneEntry, owners: list[str], rows: list[dict[str, Any]]) -> None:
    indices = tuple(row["view_index"] for row in rows)
    if indices != entry.view_indices or set(owners) != {entry.scene_id}:
        raise ValueError(
            f"where scene {entry.scene_id} should be, with views {list(entry.view_indices)}, are "
            f"views {list(indices)} of {', '.join(sorted(set(owners)))}"
        )
