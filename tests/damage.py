"""Damaged copies of a small file, the same ones every time."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator


def damaged(whole: bytes, *, seed: int = 0) -> Iterator[bytes]:
    """Cut short, and with one byte changed: anywhere, and in a zip file's directory at its end."""
    draws = random.Random(seed)
    for _ in range(12):
        yield whole[: draws.randrange(len(whole))]
    directory = max(whole.rfind(b"PK\x01\x02") - 200, 0)
    for start in [0] * 24 + [directory] * 48:
        place = draws.randrange(start, len(whole))
        yield whole[:place] + bytes([whole[place] ^ (1 << draws.randrange(8))]) + whole[place + 1 :]


def damaged_inside(archive: bytes, name: str, *, seed: int = 0) -> Iterator[bytes]:
    """A zip file whose entry "*/name" is damaged and has a checksum that says otherwise."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        entries = {entry: opened.read(entry) for entry in opened.namelist()}
    (inner,) = [entry for entry in entries if entry.partition("/")[2] == name]
    for data in damaged(entries[inner], seed=seed):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as rewritten:
            for entry, content in entries.items():
                rewritten.writestr(entry, data if entry == inner else content)
        yield target.getvalue()
