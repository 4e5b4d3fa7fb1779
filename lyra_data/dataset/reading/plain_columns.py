"""The plain columns of a scene: one range of bytes and the footer are all that Parquet needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.files.byte_ranges import RESTORE, ByteRanges, Range
from lyra_data.dataset.files.sparse_file import SparseFile
from lyra_data.dataset.format.blob_index import BlobPlace
from lyra_data.dataset.format.manifest import Manifest, ShardEntry
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import sha256_of_bytes


class PlainColumns:
    """Reads plain columns; keeps the footers of the last few files."""

    def __init__(self, files: ByteRanges, manifest: Manifest) -> None:
        self._files = files
        self._shards = {shard.path: shard for shard in manifest.shards}
        self._footers: dict[str, tuple[bytes, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footers": {}}  # Arrow's metadata is not pickled

    def ranges(self, place: BlobPlace) -> list[Range]:
        """The bytes that `rows` needs: those of the columns, and the file's footer if it is new."""
        if place.file in self._footers:
            return place.ranges([0])
        return [*place.ranges([0]), footer_range(self._shard(place.file))]

    def rows(
        self, place: BlobPlace, columns: Sequence[str], data: Sequence[bytes]
    ) -> list[dict[str, Any]]:
        """Some plain columns of a scene, a row a view.

        Args:
            data: the bytes of `ranges`, in their order.

        Raises:
            CorruptDataError: the bytes have changed.
            ValueError, OSError: they are not what Parquet writes.
        """
        shard, plain = self._shard(place.file), data[0]
        footer, metadata = self._footers.get(place.file) or self._parsed(shard, data[1:])
        place.check([0], [plain], self._files.place(place.file))
        known = [(place.offset, plain), (shard.size - len(footer), footer)]
        source = pa.PythonFile(SparseFile(shard.size, known), mode="r")
        with pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file:
            table = file.read_row_group(place.row_group, columns=list(columns), use_threads=False)
        return table.to_pylist()

    def _shard(self, path: str) -> ShardEntry:
        if path not in self._shards:
            raise ValueError(f"the index names {path}, which the manifest does not")
        return self._shards[path]

    def _parsed(self, shard: ShardEntry, fetched: Sequence[bytes]) -> tuple[bytes, Any]:
        """A footer and what it says, kept from now on."""
        footer = fetched[0] if fetched else read_footer(self._files, shard)
        check_footer(self._files, shard, footer)
        metadata = pq.ParquetFile(pa.BufferReader(b"PAR1" + footer)).metadata
        if len(self._footers) > 16:
            self._footers.clear()
        self._footers[shard.path] = footer, metadata
        return footer, metadata


def footer_range(shard: ShardEntry) -> Range:
    """Where a shard's footer lies, with its length and closing magic."""
    return Range(shard.path, shard.size - shard.footer_size, shard.size)


def check_footer(files: ByteRanges, shard: ShardEntry, footer: bytes) -> None:
    """Compare a footer with its hash.

    Raises:
        CorruptDataError: it has changed.
    """
    if sha256_of_bytes(footer) != shard.footer_sha256:
        begin = shard.size - shard.footer_size
        raise CorruptDataError(
            f"the file was cut or altered: its footer, bytes {begin} to {shard.size}, has changed",
            where=files.place(shard.path),
            fix=RESTORE,
        )


def read_footer(files: ByteRanges, shard: ShardEntry) -> bytes:
    """A shard's footer with its length and closing magic.

    Raises:
        CorruptDataError: it has changed.
    """
    (footer,) = files.read([footer_range(shard)])
    check_footer(files, shard, footer)
    return footer
