"""Read parts of files through fsspec, wherever one of its file systems reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lyra_data.engine.remote_folder import open_file_system


class FsspecFolder:
    """The files below a folder of one of fsspec's file systems.

    Args:
        system: the file system.
        root: the folder in it.
    """

    commit = None

    def __init__(self, system: Any, root: str) -> None:
        self._system, self._root = system, root

    @staticmethod
    def at(uri: str) -> FsspecFolder:
        """Return the folder at a URI.

        Raises:
            InputError: fsspec does not know such a URI.
        """
        return FsspecFolder(
            *open_file_system(
                uri,
                fix="give a folder, or http(s)://, hf://datasets/OWNER/NAME or s3:// "
                "(`pip install s3fs`)",
            )
        )

    def read_whole(self, file: str) -> bytes:
        """Return a small file."""
        return self._system.cat_file(f"{self._root}/{file}")

    def read_ranges(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return bytes of files, given as (name, first byte, end)."""
        return self._system.cat_ranges(
            [f"{self._root}/{file}" for file, _, _ in parts],
            [begin for _, begin, _ in parts],
            [end for _, _, end in parts],
            on_error="raise",
        )

    def size(self, file: str) -> int:
        """Return the size of a file in bytes."""
        return int(self._system.info(f"{self._root}/{file}")["size"])
