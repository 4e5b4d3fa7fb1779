"""A folder that may not be read is told as that, and not as one that holds nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lyra_data.dataset.convert.lyra_source import LyraSource
from lyra_data.dataset.files.local_files import LocalFiles
from lyra_data.engine.foreign_files import files_below
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.models.weights.manifest import files_of
from lyra_data.views.store import view_files
from stages.machine import machine_error


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two scenes, of which one may not be read, whoever runs this."""
    for scene in ("open", "closed"):
        (tmp_path / "data" / scene).mkdir(parents=True)
        (tmp_path / "data" / scene / "000_left.parquet").write_bytes(b"view")
    refused = tmp_path / "data" / "closed"

    def refusing(list_entries: Callable[..., Any]) -> Callable[..., Any]:
        def listed(path: Any = ".") -> Any:
            if str(path) == str(refused):
                raise PermissionError(errno.EACCES, "Permission denied", str(refused))
            return list_entries(path)

        return listed

    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir))
    return tmp_path / "data"


@pytest.mark.parametrize(
    "read",
    [
        files_below,
        sha256_of_files,
        files_of,
        view_files,
        LyraSource,
        lambda folder: LocalFiles(folder.parent).list_files("data"),
    ],
    ids=["files_below", "hashes", "weights", "views", "lyra", "dataset"],
)
def test_an_unreadable_folder_is_named(folder: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(PermissionError) as caught:
        read(folder)
    error = machine_error(caught.value)
    assert error is not None
    assert "Permission denied" in error.what
    assert error.where == str(folder / "closed")


def test_files_below_a_folder_are_those_of_all_folders_and_none_where_there_is_no_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path))
    assert found == ["a/b/three", "a/two", "link", "one"]
    assert files_below(tmp_path / "missing") == []
