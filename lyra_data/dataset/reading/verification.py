"""Compare a dataset's files with what the manifest and the index state of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lyra_data.dataset.files.byte_ranges import ByteRanges, sha256_of
from lyra_data.dataset.files.corruption import altered
from lyra_data.dataset.format.blob_index import BlobIndex
from lyra_data.dataset.format.manifest import FileEntry, ShardEntry
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.plain_columns import read_footer
from lyra_data.engine.errors import CorruptDataError


@dataclass(frozen=True)
class FileFault:
    """Bytes of a file that are not as they were written.

    Attributes:
        offset: first byte that is wrong, or of the smallest range that is known to be.
        what: by what it is known.
    """

    file: str
    offset: int
    what: str

    def as_error(self, ranges: ByteRanges) -> CorruptDataError:
        """Return the error that names the file."""
        return altered(ranges.address(self.file), self.what)


def size_fault(ranges: ByteRanges, entry: FileEntry | ShardEntry) -> FileFault | None:
    """Compare the size of a file with the one that the manifest states.

    Raises:
        CorruptDataError: there is no such file.
    """
    size = ranges.size(entry.path)
    if size == entry.size:
        return None
    return FileFault(entry.path, min(size, entry.size), f"it has {size} bytes, not {entry.size}")


def content_fault(ranges: ByteRanges, entry: FileEntry | ShardEntry) -> FileFault | None:
    """Compare the sha256 of a file of the right size with the one that the manifest states.

    Raises:
        CorruptDataError: it cannot be read.
    """
    if sha256_of(ranges, entry.path, entry.size) == entry.sha256:
        return None
    return FileFault(entry.path, 0, f"bytes 0 to {entry.size} have changed: another sha256")


def part_faults(ranges: ByteRanges, shard: ShardEntry, index: BlobIndex) -> Iterator[FileFault]:
    """Yield the parts of a shard's blobs and plain columns that do not have their hashes."""
    for entry in index.entries_of(shard.path):
        end = entry.offset + entry.table.ends[-1]
        if end > shard.size:
            what = f"bytes {entry.offset} to {end} are in the index, and the file ends before"
            yield FileFault(shard.path, entry.offset, what)
            continue
        parts = range(len(entry.table.ends))
        for part in entry.changed_parts(parts, ranges.read(entry.ranges(parts))):
            begin, _ = entry.bounds(part)
            yield FileFault(shard.path, begin, entry.describe_change(part))


def check_sizes_and_footers(files: DatasetFiles) -> None:
    """Compare sizes and footers of all files in a folder; remote ones are checked when read.

    Raises:
        CorruptDataError: a file is missing, cut, or its footer has changed.
    """
    if not files.ranges.is_local:
        return
    for shard in files.manifest.shards_of(files.modalities):
        _refuse(files, size_fault(files.ranges, shard))
        read_footer(files.ranges, shard)
    for entry in files.manifest.files_of(files.modalities):
        _refuse(files, size_fault(files.ranges, entry))


def check_every_byte(files: DatasetFiles) -> None:
    """Compare every byte of every file with its sha256.

    Raises:
        CorruptDataError: naming the file and, as far as the index knows, the bytes that differ.
    """
    for entry in files.manifest.files_of(files.modalities):
        _refuse(files, size_fault(files.ranges, entry) or content_fault(files.ranges, entry))
    for shard in files.manifest.shards_of(files.modalities):
        _refuse(files, size_fault(files.ranges, shard))
        fault = content_fault(files.ranges, shard)
        if fault is not None:
            index = files.index(shard.modality)
            _refuse(files, next(part_faults(files.ranges, shard, index), None))
            read_footer(files.ranges, shard)
            raise fault.as_error(files.ranges)


def _refuse(files: DatasetFiles, fault: FileFault | None) -> None:
    if fault is not None:
        raise fault.as_error(files.ranges)
