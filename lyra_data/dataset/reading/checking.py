"""Checking a dataset's files: that they are there, and that no byte of them has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import (
    RESTORE,
    ByteRanges,
    LocalFiles,
    Range,
)
from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.dataset.format.blob_index import BlobIndex
from lyra_data.dataset.format.manifest import (
    MANIFEST_PATH,
    Manifest,
    parse_manifest,
    read_manifest,
    unfinished,
)
from lyra_data.dataset.reading.plain_columns import read_footer
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import sha256_of_bytes

_PIECE = 16 * 2**20


def load_manifest(files: ByteRanges) -> Manifest:
    """The manifest of a dataset.

    Raises:
        CorruptDataError: it is missing, altered or of another version.
    """
    if isinstance(files, LocalFiles):
        return read_manifest(files.folder)
    assert isinstance(files, RemoteFiles)
    where = files.place(MANIFEST_PATH.as_posix())
    try:
        text = files.whole(MANIFEST_PATH.as_posix())
    except CorruptDataError:
        raise unfinished(where) from None
    return parse_manifest(text, where)


def load_index(files: ByteRanges, manifest: Manifest, modality: str) -> BlobIndex:
    """The index of a modality.

    Raises:
        CorruptDataError: it is missing or altered.
    """
    path = f"meta/index/{modality}.parquet"
    entry = next((entry for entry in manifest.files if entry.path == path), None)
    if entry is None:
        raise _altered(files, path, "the manifest names no such file")
    (data,) = files.read([Range(path, 0, entry.size)])
    if sha256_of_bytes(data) != entry.sha256:
        raise _altered(files, path, "it does not have the sha256 that the manifest states")
    try:
        return BlobIndex(data)
    except (ValueError, OSError, KeyError, pa.ArrowException) as error:
        raise _altered(files, path, str(error)) from error


def check_shards(files: ByteRanges, manifest: Manifest, modalities: Sequence[str]) -> None:
    """Sizes and footers of the shards in a folder; files afar are checked where they are read.

    Raises:
        CorruptDataError: a file is missing, cut, or its footer has changed.
    """
    if not isinstance(files, LocalFiles):
        return
    for shard in manifest.shards:
        if shard.modality in modalities:
            _check_size(files, shard.path, shard.size)
            read_footer(files, shard)
    for entry in manifest.files:
        if not entry.path.startswith("meta/index/") or entry.path[11:-8] in modalities:
            _check_size(files, entry.path, entry.size)


def check_files(files: ByteRanges, manifest: Manifest, modalities: Sequence[str]) -> None:
    """Every byte of every file.

    Raises:
        CorruptDataError: naming the file and, as far as the index tells, the bytes that differ.
    """
    for entry in manifest.files:
        if not entry.path.startswith("meta/index/") or entry.path[11:-8] in modalities:
            _check_sha256(files, entry.path, entry.size, entry.sha256)
    for shard in manifest.shards:
        if shard.modality not in modalities:
            continue
        try:
            _check_sha256(files, shard.path, shard.size, shard.sha256)
        except CorruptDataError as error:
            _name_the_part(files, manifest, shard.modality, shard.path)
            read_footer(files, shard)
            raise error from None


def _check_size(files: ByteRanges, path: str, expected: int) -> None:
    size = files.size(path)
    if size != expected:
        raise _altered(files, path, f"it has {size} bytes, not {expected}")


def _check_sha256(files: ByteRanges, path: str, size: int, expected: str) -> None:
    _check_size(files, path, size)
    digest = hashlib.sha256()
    for begin in range(0, size, _PIECE):
        digest.update(files.read([Range(path, begin, min(begin + _PIECE, size))])[0])
    if digest.hexdigest() != expected:
        raise _altered(files, path, "its content does not have the sha256 that the manifest states")


def _name_the_part(files: ByteRanges, manifest: Manifest, modality: str, path: str) -> None:
    """Raise for the first part of the file that differs, if it is one that the index knows."""
    for place in load_index(files, manifest, modality).all_places():
        if place.file == path:
            parts = list(range(len(place.table.ends)))
            place.check(parts, files.read(place.ranges(parts)), files.place(path))


def _altered(files: ByteRanges, path: str, what: str) -> CorruptDataError:
    return CorruptDataError(
        f"the file was cut or altered: {what}", where=files.place(path), fix=RESTORE
    )
