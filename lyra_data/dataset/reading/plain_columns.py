"""Read the plain columns of a scene: Parquet needs one range of bytes and the file's footer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.files.byte_ranges import ByteRanges, Range, read_checked
from lyra_data.dataset.files.corruption import altered, corruption_of
from lyra_data.dataset.files.sparse_file import SparseFile
from lyra_data.dataset.format.blob_index import BlobEntry
from lyra_data.dataset.format.manifest import Manifest, SceneEntry, ShardEntry
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.names import is_safe_name, shortened
from lyra_data.views.fields import Row

MAX_FOOTER_BYTES = 16 * 2**20
"""Bytes of footers, as they are stored, that are kept parsed: those of hundreds of shards of 64
scenes, or of a few of a thousand. Scenes are read in any order, and each needs its shard's."""


class PlainColumns:
    """Reads plain columns of one dataset; keeps the footers of the files that it read last."""

    def __init__(self, ranges: ByteRanges, manifest: Manifest) -> None:
        self._files = ranges
        self._shards = {shard.path: shard for shard in manifest.shards}
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._footer_bytes = 0

    def __getstate__(self) -> dict[str, Any]:  # Arrow's metadata is not pickled
        return {**self.__dict__, "_footers": OrderedDict(), "_footer_bytes": 0}

    def ranges(self, plain: Sequence[BlobEntry]) -> list[Range]:
        """Return the bytes that `rows` needs: the columns of every row group, and the file's footer
        if it is new.

        Raises:
            CorruptDataError: the index names a file that the manifest does not.
        """
        columns = [part for group in plain for part in group.ranges([0])]
        if plain[0].file in self._footers:
            return columns
        return [*columns, footer_range(self.shard(plain[0].file))]

    def rows(
        self,
        scene: SceneEntry,
        plain: Sequence[BlobEntry],
        columns: Iterable[str],
        data: Sequence[bytes],
    ) -> list[Row]:
        """Return some plain columns of a scene, undecoded, a row a view.

        Args:
            plain: the scene's plain columns of one modality, as the index has them, one a row
                group.
            columns: names; scene_id and view_index are always among the returned ones.
            data: the bytes of `ranges`, in their order.

        Raises:
            CorruptDataError: the bytes have changed, or are another scene's.
        """
        shard, address = self.shard(plain[0].file), self._files.address(plain[0].file)
        for group, piece in zip(plain, data, strict=False):  # the footer may follow
            group.check([0], [piece], address)
        with corruption_of(address):
            metadata = self._metadata(shard, data[len(plain) :])
            # Metadata is given, so Parquet reads nothing but the pages of the columns.
            known = [(group.offset, piece) for group, piece in zip(plain, data, strict=False)]
            source = pa.PythonFile(SparseFile(shard.size, known), mode="r")
            numbers = [group.row_group for group in plain]
            names = list(dict.fromkeys(("scene_id", "view_index", *columns)))
            with pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file:
                table = file.read_row_groups(numbers, columns=names, use_threads=False)
            rows = table.to_pylist()
            require_scene(scene, rows)
        return rows

    def shard(self, path: str) -> ShardEntry:
        """Return what the manifest says of a shard.

        Raises:
            CorruptDataError: it does not name it, though the index does.
        """
        if path not in self._shards:
            raise altered(self._files.address(path), "the index names it, and the manifest not")
        return self._shards[path]

    def footer(self, path: str) -> pq.FileMetaData:
        """Return what a shard's footer says; it is read at the first time.

        Raises:
            CorruptDataError: it has changed.
        """
        return self._metadata(self.shard(path), [])

    def schema(self, path: str) -> pa.Schema:
        """Return the columns of a shard, as its footer has them; read anew at every call.

        Not `footer(path).schema`: that and its footer hold each other, so footers of megabytes stay
        in memory until Python happens to look for such circles.

        Raises:
            CorruptDataError: the footer has changed.
        """
        footer = read_footer(self._files, self.shard(path))
        with _opened_footer(footer) as file:
            return file.schema_arrow

    def _metadata(self, shard: ShardEntry, fetched: Sequence[bytes]) -> pq.FileMetaData:
        metadata = self._footers.get(shard.path)
        if metadata is None:
            if fetched:
                footer = fetched[0]
                check_footer(self._files, shard, footer)
            else:
                footer = read_footer(self._files, shard)
            metadata = parse_footer(footer)
            self._footer_bytes += shard.footer_size
            while self._footers and self._footer_bytes > MAX_FOOTER_BYTES:
                path, _ = self._footers.popitem(last=False)
                self._footer_bytes -= self._shards[path].footer_size
            self._footers[shard.path] = metadata
        else:
            self._footers.move_to_end(shard.path)
        return metadata


def require_scene(scene: SceneEntry, rows: Sequence[Row]) -> None:
    """Compare the keys of rows with the scene that the manifest has there.

    Raises:
        ValueError: they are rows of another scene, or of other views, or a trajectory has no name.
    """
    for row in rows:
        if not is_safe_name(row.get("trajectory", "none")):
            raise ValueError(f"trajectory {shortened(row['trajectory'])} is no name")
    indices = tuple(row["view_index"] for row in rows)
    owners = {row["scene_id"] for row in rows}
    if indices != scene.view_indices or owners != {scene.scene_id}:
        raise ValueError(
            f"where scene {scene.scene_id} should be, with views {list(scene.view_indices)}, are "
            f"views {list(indices)} of {', '.join(sorted(owners))}"
        )


def footer_range(shard: ShardEntry) -> Range:
    """Return the bytes of a shard's footer, with its length and closing magic."""
    return Range(shard.path, shard.size - shard.footer_size, shard.size)


def check_footer(files: ByteRanges, shard: ShardEntry, footer: bytes) -> None:
    """Compare a footer with its hash.

    Raises:
        CorruptDataError: it has changed.
    """
    if sha256_of_bytes(footer) != shard.footer_sha256:
        begin = shard.size - shard.footer_size
        raise altered(
            files.address(shard.path), f"its footer, bytes {begin} to {shard.size}, has changed"
        )


def read_footer(files: ByteRanges, shard: ShardEntry) -> bytes:
    """Read a shard's footer, with its length and closing magic.

    Raises:
        CorruptDataError: it has changed.
    """

    def checked(pieces: Sequence[bytes]) -> bytes:
        check_footer(files, shard, pieces[0])
        return pieces[0]

    return read_checked(files, [footer_range(shard)], checked)


def parse_footer(footer: bytes) -> pq.FileMetaData:
    """Return what a footer says.

    Arrow takes a footer only as the end of a whole file, so the opening magic is put before it; the
    offsets that it states are those in the shard all the same.
    """
    return _opened_footer(footer).metadata


def _opened_footer(footer: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(b"PAR1" + footer))
