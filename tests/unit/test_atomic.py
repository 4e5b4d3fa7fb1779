"""Files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lyra_data.engine import atomic
from lyra_data.engine.atomic import (
    folder_atomically,
    link_or_copy,
    partial_folder,
    publish_folder,
    remove_leftovers,
    storage_errors,
    temporary_folder,
    write_atomically,
)
from lyra_data.engine.errors import StorageError


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_written_whole_stands_alone_in_its_folder(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "new" / "report.json") as temporary:
        assert temporary.name == "report.json"
        temporary.write_text("whole")
    assert (tmp_path / "new" / "report.json").read_text() == "whole"
    assert _names(tmp_path / "new") == ["report.json"]


def test_a_failure_keeps_the_former_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("former")
    with pytest.raises(ZeroDivisionError), write_atomically(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "former"
    assert _names(tmp_path) == ["report.json"]


def test_a_file_that_another_name_shares_is_replaced_not_written_through(tmp_path: Path) -> None:
    cached, path = tmp_path / "cached", tmp_path / "linked"
    cached.write_text("cached")
    path.hardlink_to(cached)
    with write_atomically(path) as temporary:
        temporary.write_text("new")
    assert (cached.read_text(), path.read_text()) == ("cached", "new")


def test_a_new_folder_takes_the_place_of_the_old_one_entirely(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    target.mkdir()
    (target / "stale").write_text("old")
    with folder_atomically(target) as temporary:
        (temporary / "fresh").write_text("new")
        assert _names(target) == ["stale"]
    assert _names(target) == ["fresh"]
    assert _names(tmp_path) == ["dataset"]


def test_a_failed_folder_keeps_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), folder_atomically(target) as temporary:
        (temporary / "half").write_text("half")
        _ = 1 / 0
    assert _names(target) == ["old"]
    assert _names(tmp_path) == ["dataset"]


_HANGING_WRITER = """
import sys, time
from pathlib import Path
from lyra_data.engine.atomic import write_atomically
with write_atomically(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_leftovers_of_a_killed_writer_go_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HANGING_WRITER, str(tmp_path / "slow")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        with write_atomically(tmp_path / "first") as temporary:
            temporary.write_text("1")
        assert any(name.startswith(atomic.PARTIAL_PREFIX) for name in _names(tmp_path))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with write_atomically(tmp_path / "second") as temporary:
        temporary.write_text("2")
    assert _names(tmp_path) == ["first", "second"]


def test_a_full_disk_is_named_with_its_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    path = tmp_path / "report.json"
    with pytest.raises(StorageError, match="No space left") as caught, write_atomically(path) as t:
        t.write_text("whole")
    assert caught.value.where == str(path)
    assert "free space" in (caught.value.fix or "")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT])
def test_a_refusal_of_the_file_system_is_a_storage_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageError, match=os.strerror(number)), storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_path_below_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "a" / "b"):
        with pytest.raises(StorageError, match="How to mend it"), write_atomically(path):
            pass
        with pytest.raises(StorageError, match="How to mend it"), folder_atomically(path):
            pass


def test_other_os_errors_keep_their_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), storage_errors(tmp_path):
        (tmp_path / "absent").read_text()


def test_an_error_names_the_path_that_was_wanted_and_not_the_temporary(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError) as caught,
        folder_atomically(tmp_path / "result") as folder,
        write_atomically(folder / "deep" / "file"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.where == str(tmp_path / "result" / "deep" / "file")


def test_other_os_errors_without_a_name_get_that_of_the_path(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, write_atomically(tmp_path / "file"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert caught.value.filename == str(tmp_path / "file")


# links, and folders of other makers


def test_a_result_that_is_a_link_to_another_disk_stays_one(tmp_path: Path) -> None:
    disk, results = tmp_path / "disk" / "clips", tmp_path / "outputs"
    disk.mkdir(parents=True)
    results.mkdir()
    (disk / "old").write_text("old")
    (results / "clips").symlink_to(disk)
    with folder_atomically(results / "clips") as temporary:
        (temporary / "fresh").write_text("new")
    assert (results / "clips").is_symlink()
    assert _names(disk) == ["fresh"]
    assert (_names(results), _names(disk.parent)) == (["clips"], ["clips"])


def test_a_link_whose_folder_is_not_made_yet_stays_one(tmp_path: Path) -> None:
    (tmp_path / "clips").symlink_to("disk/clips")
    with folder_atomically(tmp_path / "clips") as temporary:
        (temporary / "fresh").write_text("new")
    assert (tmp_path / "clips").is_symlink()
    assert _names(tmp_path / "disk" / "clips") == ["fresh"]


def test_a_folder_is_published_through_a_link_to_another_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, made = tmp_path / "disk", tmp_path / "work" / "made"
    (disk / "clip").mkdir(parents=True)
    (disk / "clip" / "old").write_text("old")
    made.mkdir(parents=True)
    (made / "fresh").write_text("new")
    (tmp_path / "clip").symlink_to(disk / "clip")
    rename = os.rename

    def refuse_to_cross(source: Path, target: Path) -> None:
        if ("disk" in Path(source).parts) != ("disk" in Path(target).parts):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_to_cross)
    publish_folder(made, tmp_path / "clip")
    assert (tmp_path / "clip").is_symlink() and _names(disk) == ["clip"]
    assert _names(disk / "clip") == ["fresh"]


def test_a_file_that_is_a_link_is_replaced_not_written_through(tmp_path: Path) -> None:
    cached, path = tmp_path / "cached", tmp_path / "linked"
    cached.write_text("cached")
    path.symlink_to(cached)
    with write_atomically(path) as temporary:
        temporary.write_text("new")
    assert (cached.read_text(), path.read_text()) == ("cached", "new")


@pytest.mark.parametrize(
    "name", [".partial-results", ".partial-", ".partial-0123456789abcdeg", ".partial-0" * 2]
)
def test_a_folder_of_the_users_is_no_leftover(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("mine")
    remove_leftovers(tmp_path)
    assert (tmp_path / name / "thesis.tex").read_text() == "mine"


def test_a_leftover_is_removed_and_what_a_link_of_that_name_leads_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / ".partial-0123456789abcdef").mkdir()
    (tmp_path / ".partial-fedcba9876543210").symlink_to(tmp_path / "mine")
    remove_leftovers(tmp_path)
    assert _names(tmp_path) == [".partial-fedcba9876543210", "mine"]
    assert _names(tmp_path / "mine") == ["file"]


@pytest.mark.parametrize("refused", [False, True])
def test_the_second_name_of_a_relative_link_is_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    for name in ("blobs", "snapshot", "inputs"):
        (tmp_path / name).mkdir()
    (tmp_path / "blobs" / "0123").write_bytes(b"video")
    (tmp_path / "snapshot" / "clip.mp4").symlink_to("../blobs/0123")
    if refused:

        def refuse(source: str, target: Path) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "snapshot" / "clip.mp4", tmp_path / "inputs" / "clip.mp4")
    assert not (tmp_path / "inputs" / "clip.mp4").is_symlink()
    assert (tmp_path / "inputs" / "clip.mp4").read_bytes() == b"video"


_HANGING_SOLVER = """
import time
from lyra_data.engine.atomic import temporary_folder
with temporary_folder() as folder:
    (folder / "database.db").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_temporary_files_of_a_killed_process_go_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", _HANGING_SOLVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as solver:
        assert solver.stdout is not None and solver.stdout.readline() == b"ready\n"
        solver.send_signal(signal.SIGKILL)
        solver.wait()
    (left,) = _names(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert folder.name != left and _names(tmp_path) == [folder.name]
    assert _names(tmp_path) == []


def test_work_in_progress_stays_while_another_folder_is_made(tmp_path: Path) -> None:
    with partial_folder(tmp_path) as first:
        remove_leftovers(tmp_path)
        assert first.is_dir()
