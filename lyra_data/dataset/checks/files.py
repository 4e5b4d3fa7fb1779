"""Is every byte of every file as it was written? What is not is named by file and offset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lyra_data.dataset.checks.finding import DatasetFinding, found
from lyra_data.dataset.files.byte_ranges import ByteRanges, LocalFiles, Range
from lyra_data.dataset.format.blob_index import BlobIndex
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.format.manifest import FileEntry, Manifest, ShardEntry
from lyra_data.dataset.reading.checking import load_index
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.progress import Progress

PIECE = 16 * 2**20


def check_files(
    files: ByteRanges, manifest: Manifest, progress: Progress
) -> Iterator[DatasetFinding]:
    """Every file's sha256 and, in a folder, every part's xxh3; a piece of a file is in memory.

    From afar, parts are looked at only in files that have changed.
    """
    progress.start("Hashing", len(manifest.files) + len(manifest.shards), "files")
    for entry in manifest.files:
        yield from _check_size(files, entry) or _check_sha256(files, entry)
        progress.advance(note=entry.path)
    indexes = {modality: _index(files, manifest, modality) for modality in MODALITIES}
    for shard in manifest.shards:
        yield from _check_shard(files, shard, indexes[shard.modality])
        progress.advance(note=shard.modality)
    progress.finish()
    yield from _unlisted(files, manifest)


def _check_shard(
    files: ByteRanges, shard: ShardEntry, index: BlobIndex | None
) -> Iterable[DatasetFinding]:
    if wrong := _check_size(files, shard):
        return wrong
    if changed := _check_sha256(files, shard):
        return _located(files, shard, index) or changed
    if index is None or not isinstance(files, LocalFiles):
        return []
    return _check_parts(files, shard, index, "part-hashes")


def _check_size(files: ByteRanges, entry: FileEntry | ShardEntry) -> list[DatasetFinding]:
    try:
        size = files.size(entry.path)
    except CorruptDataError as error:
        return [found("file-hashes", error.what, file=entry.path)]
    if size == entry.size:
        return []
    message = f"it has {size} bytes, not {entry.size}"
    return [found("file-hashes", message, file=entry.path, offset=min(size, entry.size))]


def _check_sha256(files: ByteRanges, entry: FileEntry | ShardEntry) -> list[DatasetFinding]:
    digest = hashlib.sha256()
    try:
        for begin in range(0, entry.size, PIECE):
            part = Range(entry.path, begin, min(begin + PIECE, entry.size))
            digest.update(files.read([part])[0])
    except CorruptDataError as error:
        return [found("file-hashes", error.what, file=entry.path)]
    if digest.hexdigest() == entry.sha256:
        return []
    message = f"bytes 0 to {entry.size} have changed: another sha256"
    return [found("file-hashes", message, file=entry.path, offset=0)]


def _located(files: ByteRanges, shard: ShardEntry, index: BlobIndex | None) -> list[DatasetFinding]:
    """Which bytes of a shard have changed, as narrowly as parts, pages and footer tell."""
    if files.read([Range(shard.path, 0, 4)])[0] != b"PAR1":
        return [_changed(shard, 0, 4, "the mark at its beginning")]
    begin = shard.size - shard.footer_size
    (footer,) = files.read([Range(shard.path, begin, shard.size)])
    if sha256_of_bytes(footer) != shard.footer_sha256:
        return [_changed(shard, begin, shard.size, "its footer")]
    if index is not None:
        parts = list(_check_parts(files, shard, index, "file-hashes"))
        if parts:
            return parts
    return _changed_pages(files, shard, footer)


def _changed_pages(files: ByteRanges, shard: ShardEntry, footer: bytes) -> list[DatasetFinding]:
    """Column chunks whose pages do not have their checksums; else what lies beside the pages."""
    metadata = pq.ParquetFile(pa.BufferReader(b"PAR1" + footer)).metadata
    if not isinstance(files, LocalFiles):
        return []
    last = 4
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in range(group.num_columns):
            chunk = group.column(column)
            begin = chunk.data_page_offset
            last = begin + chunk.total_compressed_size
            try:
                with pq.ParquetFile(
                    files.place(shard.path), metadata=metadata, page_checksum_verification=True
                ) as file:
                    file.read_row_group(number, columns=[chunk.path_in_schema], use_threads=False)
            except (OSError, ValueError, pa.ArrowException):
                what = f"{chunk.path_in_schema} of row group {number}"
                return [_changed(shard, begin, last, what)]
    headers = f"heads of pages (up to {last}) or the index of pages (from there on)"
    return [_changed(shard, 4, shard.size - shard.footer_size, headers)]


def _check_parts(
    files: ByteRanges, shard: ShardEntry, index: BlobIndex, rule: str
) -> Iterator[DatasetFinding]:
    for place in index.all_places():
        if place.file != shard.path:
            continue
        parts = range(len(place.table.ends))
        try:
            data = files.read(place.ranges(parts))
        except CorruptDataError as error:
            yield found(rule, error.what, file=shard.path, offset=place.offset)
            continue
        for part, value in zip(parts, data, strict=True):
            if xxhash.xxh3_64_intdigest(value) != place.hashes[part]:
                begin, end = (place.offset + bound for bound in place.table.bounds(part))
                message = f"bytes {begin} to {end} do not have the hash that the index states"
                yield found(rule, message, file=shard.path, offset=begin)


def _changed(shard: ShardEntry, begin: int, end: int, what: str) -> DatasetFinding:
    message = f"bytes {begin} to {end} have changed: {what}"
    return found("file-hashes", message, file=shard.path, offset=begin)


def _index(files: ByteRanges, manifest: Manifest, modality: str) -> BlobIndex | None:
    try:
        return load_index(files, manifest, modality)
    except CorruptDataError:
        return None  # told already: its sha256


def _unlisted(files: ByteRanges, manifest: Manifest) -> Iterator[DatasetFinding]:
    if isinstance(files, LocalFiles):
        named = {entry.path for entry in (*manifest.files, *manifest.shards)}
        for path in sorted((files.folder / "data").rglob("*")):
            name = path.relative_to(files.folder).as_posix()
            if path.is_file() and name not in named:
                yield found("unlisted-files", "the manifest does not name it", file=name)
