"""The plain columns of a scene: one range of bytes and the footer are all that Parquet needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.blob_index import BlobPlace
from lyra_data.dataset.byte_ranges import RESTORE, ByteRanges, Range
from lyra_data.dataset.manifest import Manifest, ShardEntry
from lyra_data.dataset.sparse_file import SparseFile
from lyra_data.errors import CorruptDataError
from lyra_data.hashing import sha256_of_bytes


class PlainColumns:
    """Reads plain columns; keeps the footers of the last few files."""

    def __init__(self, files: ByteRanges, manifest: Manifest) -> None:
        self._files = files
        self._shards = {shard.path: shard for shard in manifest.shards}
        self._footers: dict[str, tuple[bytes, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footers": {}}  # Arrow's metadata is not pickled

    def read(self, place: BlobPlace, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some plain columns of a scene, a row a view.

        Raises:
            CorruptDataError: the bytes have changed.
            ValueError, OSError: they are not what Parquet writes.
        """
        footer, metadata = self._footer(place.file)
        data = self._files.read(place.ranges([0]))
        place.check([0], data, self._files.place(place.file))
        known = [(place.offset, data[0]), (self._shards[place.file].size - len(footer), footer)]
        source = pa.PythonFile(SparseFile(self._shards[place.file].size, known), mode="r")
        with pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file:
            table = file.read_row_group(place.row_group, columns=list(columns), use_threads=False)
        return table.to_pylist()

    def _footer(self, path: str) -> tuple[bytes, Any]:
        if path not in self._footers:
            if path not in self._shards:
                raise ValueError(f"the index names {path}, which the manifest does not")
            if len(self._footers) > 16:
                self._footers.clear()
            footer = read_footer(self._files, self._shards[path])
            metadata = pq.ParquetFile(pa.BufferReader(b"PAR1" + footer)).metadata
            self._footers[path] = footer, metadata
        return self._footers[path]


def read_footer(files: ByteRanges, shard: ShardEntry) -> bytes:
    """A shard's footer with its length and closing magic.

    Raises:
        CorruptDataError: it has changed.
    """
    begin = shard.size - shard.footer_size
    (footer,) = files.read([Range(shard.path, begin, shard.size)])
    if sha256_of_bytes(footer) != shard.footer_sha256:
        raise CorruptDataError(
            f"the file was cut or altered: its footer, bytes {begin} to {shard.size}, has changed",
            where=files.place(shard.path),
            fix=RESTORE,
        )
    return footer
