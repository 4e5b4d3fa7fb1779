"""Present some ranges of a file as a whole one, to readers that take nothing less."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any


class SparseFile(io.RawIOBase):
    """A file of which some ranges are known; zero bytes stand for all others."""

    def __init__(self, size: int, known: Sequence[tuple[int, bytes]]) -> None:
        super().__init__()
        self._size, self._known, self._position = size, list(known), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        begin = self._position
        end = min(begin + len(view), self._size)
        if end <= begin:
            return 0
        view[: end - begin] = bytes(end - begin)
        for start, data in self._known:
            low, high = max(begin, start), min(end, start + len(data))
            if low < high:
                view[low - begin : high - begin] = data[low - start : high - start]
        self._position = end
        return end - begin
