"""Check every byte of every file; what has changed is named by file and offset."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.checks.locations import DatasetFinding, fault_finding, file_finding
from lyra_data.dataset.files.byte_ranges import ByteRanges, Range
from lyra_data.dataset.format.blob_index import BlobIndex
from lyra_data.dataset.format.manifest import CARD_PATH, FileEntry, ShardEntry
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.plain_columns import footer_range, parse_footer
from lyra_data.dataset.reading.verification import (
    FileFault,
    content_fault,
    part_faults,
    size_fault,
)
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import sha256_of_bytes

MAGIC = b"PAR1"
"""Begins and ends a Parquet file."""


def check_file(files: DatasetFiles, number: int) -> list[DatasetFinding]:
    """Check a file's sha256 and, of a shard in a folder, every part's xxh3, a piece in memory at a
    time.

    Of remote files, parts are looked at only where the file has changed.

    Args:
        number: position among the manifest's files, then its shards.
    """
    manifest, ranges = files.manifest, files.ranges
    if number >= len(manifest.files):
        shard = manifest.shards[number - len(manifest.files)]
        return list(_check_shard(ranges, shard, _readable_index(files, shard.modality)))
    entry = manifest.files[number]
    is_card = entry.path == CARD_PATH.as_posix()
    return _check_card(ranges, entry) if is_card else _check_whole(ranges, entry)


def unlisted_files(files: DatasetFiles) -> list[DatasetFinding]:
    """Return a finding for every file below `data` that the manifest does not name."""
    listed = {entry.path for entry in (*files.manifest.files, *files.manifest.shards)}
    return [
        file_finding("unlisted-files", "the manifest does not name it", file=name)
        for name in files.ranges.list_files("data")
        if name not in listed
    ]


def _check_whole(ranges: ByteRanges, entry: FileEntry | ShardEntry) -> list[DatasetFinding]:
    try:
        fault = size_fault(ranges, entry) or content_fault(ranges, entry)
    except CorruptDataError as error:
        return [file_finding("file-hashes", error.what, file=entry.path)]
    return [] if fault is None else [fault_finding("file-hashes", fault)]


def _check_card(ranges: ByteRanges, entry: FileEntry) -> list[DatasetFinding]:
    """Check that there is a card; people edit it, so that its bytes are their own affair."""
    try:
        ranges.size(entry.path)
    except CorruptDataError as error:
        return [file_finding("file-hashes", error.what, file=entry.path)]
    return []


def _check_shard(
    ranges: ByteRanges, shard: ShardEntry, index: BlobIndex | None
) -> Iterable[DatasetFinding]:
    try:
        if fault := size_fault(ranges, shard):
            return [fault_finding("file-hashes", fault)]
        if fault := content_fault(ranges, shard):
            narrower = _changed_bytes(ranges, shard, index)
            return [fault_finding("file-hashes", one) for one in narrower or [fault]]
    except CorruptDataError as error:
        return [file_finding("file-hashes", error.what, file=shard.path)]
    if index is None or not ranges.is_local:
        return []
    return (fault_finding("part-hashes", fault) for fault in part_faults(ranges, shard, index))


def _changed_bytes(
    ranges: ByteRanges, shard: ShardEntry, index: BlobIndex | None
) -> list[FileFault]:
    """Return which bytes of a shard have changed, as narrowly as parts, pages and footer know."""
    if ranges.read([Range(shard.path, 0, len(MAGIC))])[0] != MAGIC:
        return [_changed(shard, 0, len(MAGIC), "the mark at its beginning")]
    (footer,) = ranges.read([footer_range(shard)])
    if sha256_of_bytes(footer) != shard.footer_sha256:
        return [_changed(shard, shard.size - shard.footer_size, shard.size, "its footer")]
    parts = [] if index is None else list(part_faults(ranges, shard, index))
    return parts or [_changed_page(ranges, shard, parse_footer(footer))]


def _changed_page(ranges: ByteRanges, shard: ShardEntry, metadata: pq.FileMetaData) -> FileFault:
    """Return the column chunk whose pages do not have their checksums; else what lies beside them.

    Checksums cover the pages' data: neither their headers nor the index of pages before the footer.
    """
    last = len(MAGIC)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in range(group.num_columns):
            chunk = group.column(column)
            begin = chunk.data_page_offset
            last = begin + chunk.total_compressed_size
            try:
                source = ranges.open_for_arrow(
                    shard.path, shard.size, [Range(shard.path, begin, last)]
                )
                with pq.ParquetFile(
                    source, metadata=metadata, page_checksum_verification=True
                ) as file:
                    file.read_row_group(number, columns=[chunk.path_in_schema], use_threads=False)
            except (OSError, ValueError, pa.ArrowException):
                what = f"{chunk.path_in_schema} of row group {number}"
                return _changed(shard, begin, last, what)
    headers = f"heads of pages (up to {last}) or the index of pages (from there on)"
    return _changed(shard, len(MAGIC), shard.size - shard.footer_size, headers)


def _changed(shard: ShardEntry, begin: int, end: int, what: str) -> FileFault:
    return FileFault(shard.path, begin, f"bytes {begin} to {end} have changed: {what}")


def _readable_index(files: DatasetFiles, modality: str) -> BlobIndex | None:
    """Return the index, or None where it has changed: its sha256 is a finding already."""
    try:
        return files.index(modality)
    except CorruptDataError:
        return None
