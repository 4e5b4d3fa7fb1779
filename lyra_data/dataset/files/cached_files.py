"""Read remote files through a cache of their ranges on a local disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from lyra_data.dataset.files.byte_ranges import ByteRanges, Range
from lyra_data.dataset.files.range_cache import RangeCache
from lyra_data.dataset.files.sparse_file import SparseFile

_SHA256 = re.compile(r"[0-9a-f]{64}")


class CachedFiles:
    """Files elsewhere, with what was read of them on this machine.

    Ranges are kept as they are asked for, not as they are fetched together: so the same frame is
    found again, whatever is read beside it.

    Args:
        remote: the files.
        hashes: sha256 by file; of others nothing is kept.
        kept: the ranges on this machine.
    """

    is_local = False

    def __init__(self, remote: ByteRanges, hashes: Mapping[str, str], kept: RangeCache) -> None:
        self.remote, self.kept = remote, kept
        # The manifest is a stranger's, and hashes become names of files.
        self.hashes = {file: sha for file, sha in hashes.items() if _SHA256.fullmatch(sha)}

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        found = {part: self._kept(part) for part in dict.fromkeys(ranges)}
        missing = [part for part, data in found.items() if data is None]
        for part, data in zip(missing, self.remote.read(missing) if missing else (), strict=True):
            found[part] = data
            if part.file in self.hashes:
                self.kept.put(self.hashes[part.file], part.begin, data)
        return [found[part] or b"" for part in ranges]

    def read_whole(self, file: str) -> bytes:
        return self.remote.read_whole(file)

    def prefetch(self, ranges: Sequence[Range]) -> None:
        missing = [part for part in ranges if not self._has(part)]
        if missing:
            self.remote.prefetch(missing)

    def forget(self, ranges: Sequence[Range]) -> bool:
        known = [part for part in ranges if part.file in self.hashes]
        forgotten = [
            self.kept.forget(self.hashes[part.file], part.begin, part.end) for part in known
        ]
        return any(forgotten)

    def open_for_arrow(self, file: str, size: int, ranges: Sequence[Range]) -> pa.NativeFile:
        """Read the ranges at once; zeros stand for all other bytes."""
        assert all(part.file == file for part in ranges), (file, ranges)
        pieces = [(part.begin, data) for part, data in zip(ranges, self.read(ranges), strict=True)]
        return pa.PythonFile(SparseFile(size, pieces), mode="r")

    def size(self, file: str) -> int:
        return self.remote.size(file)

    def list_files(self, folder: str) -> list[str]:
        return self.remote.list_files(folder)

    def address(self, file: str) -> str:
        return self.remote.address(file)

    def _kept(self, part: Range) -> bytes | None:
        sha256 = self.hashes.get(part.file)
        return None if sha256 is None else self.kept.get(sha256, part.begin, part.end)

    def _has(self, part: Range) -> bool:
        sha256 = self.hashes.get(part.file)
        return sha256 is not None and self.kept.has(sha256, part.begin, part.end)
