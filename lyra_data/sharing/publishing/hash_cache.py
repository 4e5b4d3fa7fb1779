"""Hashes of files that are known already: an unchanged file of many gigabytes is not read again."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.documents import parse_json
from lyra_data.engine.hashing import sha256_of_file

SETTLED_NANOSECONDS = 2 * 10**9
"""A file that was written within this time may be written again without its time changing."""


class HashCache:
    """Sha256 by path, size and time of the last change, in lines that are only appended: those of
    a killed run count.

    Args:
        path: the file of lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[int, int, str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, TypeError):  # a line that was cut
                    name, size, changed, sha256 = parse_json(line)
                    self._known[str(name)] = (int(size), int(changed), str(sha256))

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file's bytes."""
        name, status = str(path.absolute()), path.stat()
        known = self._known.get(name)
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            return known[2]
        sha256 = sha256_of_file(path)
        after = path.stat()
        is_settled = time.time_ns() - after.st_mtime_ns > SETTLED_NANOSECONDS
        is_same = (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        if is_settled and is_same:
            self._known[name] = (after.st_size, after.st_mtime_ns, sha256)
            line = json.dumps([name, after.st_size, after.st_mtime_ns, sha256])
            with storage_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a") as file:
                    file.write(line + "\n")
        return sha256
