"""Hashes of files that are known already: an unchanged file of many gigabytes is not read again."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.documents import parse_json
from lyra_data.engine.hashing import sha256_of_file

SETTLED_NANOSECONDS = 2 * 10**9
"""A file that was written within this time may be written again without its time changing."""


class HashCache:
    """Sha256 by path, size and the times at which the file was changed, in lines that are only
    appended: those of a killed run count.

    Copies and archives may bring back an old time of the last writing with another content, and a
    hash taken for such a file would publish what it held before. So the time of the last change of
    the inode counts too, which no program can set.

    Args:
        path: the file of lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[list[int], str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, TypeError):  # a line that was cut
                    name, identity, sha256 = parse_json(line)
                    self._known[str(name)] = (list(identity), str(sha256))

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file's bytes."""
        name, identity = str(path.absolute()), _identity(path.stat())
        known, sha256 = self._known.get(name, ([], ""))
        if known == identity:
            return sha256
        sha256 = sha256_of_file(path)
        after = path.stat()
        is_settled = time.time_ns() - after.st_ctime_ns > SETTLED_NANOSECONDS
        if is_settled and _identity(after) == identity:
            self._known[name] = (identity, sha256)
            with storage_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a") as file:
                    file.write(json.dumps([name, identity, sha256]) + "\n")
        return sha256


def _identity(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
