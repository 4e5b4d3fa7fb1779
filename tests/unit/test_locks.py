"""One process at a time does a piece of work, and the next is told which one has it."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from lyra_data.engine.errors import BusyError
from lyra_data.engine.locks import WAIT_VARIABLE, held_lock, waiting_for_locks
from stages.running import guarded
from stages.summary import Summary

_HOLDER = """
import sys, time
from pathlib import Path
from lyra_data.engine.locks import held_lock
with held_lock(Path(sys.argv[1]), sys.argv[2]):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of `generate` in tmp_path/.work."""
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / ".work"), "generate"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process
        process.send_signal(signal.SIGKILL)


def test_the_second_is_told_who_is_at_work(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    with pytest.raises(BusyError) as caught, held_lock(tmp_path / ".work", "generate"):
        pass
    assert f"generate is being done here already, by process {holder.pid}" in caught.value.what
    assert platform.node() in caught.value.what
    assert caught.value.where == str(tmp_path)
    with held_lock(tmp_path / ".work", "package"), held_lock(tmp_path / "other", "generate"):
        pass  # other work, and the same work elsewhere


def test_the_lock_of_a_killed_process_is_free(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with held_lock(tmp_path / ".work", "generate"):
        pass
    with held_lock(tmp_path / ".work", "generate"):
        pass  # and so is that of work that has ended


def test_a_holder_that_has_no_name_is_told_too(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    (tmp_path / ".work" / "locks" / "generate.lock").write_text("[1")
    with (
        pytest.raises(BusyError, match="another process"),
        held_lock(tmp_path / ".work", "generate"),
    ):
        pass


def test_where_nothing_can_be_written_the_work_itself_says_so(tmp_path: Path) -> None:
    (tmp_path / ".work").write_text("a file stands in the way")
    with held_lock(tmp_path / ".work", "generate"):
        pass


def test_where_it_is_to_wait_it_says_for_whom_and_goes_on_when_that_one_has_ended(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    lines = []

    def report(line: str) -> None:
        lines.append(line)
        holder.send_signal(signal.SIGKILL)

    with waiting_for_locks(report), held_lock(tmp_path / ".work", "generate"):
        assert f"generate is being done here already, by process {holder.pid}" in lines[0]
    assert len(lines) == 1
    with pytest.raises(BusyError), held_lock(tmp_path, "a"), held_lock(tmp_path, "a"):
        pass  # behind the block nothing waits


def test_nobody_waits_for_itself(tmp_path: Path) -> None:
    with (
        waiting_for_locks(lambda line: None),
        held_lock(tmp_path, "generate"),
        pytest.raises(BusyError, match=f"process {os.getpid()}"),
        held_lock(tmp_path, "generate"),
    ):
        pass


def test_those_that_share_a_lock_hold_it_at_once_and_keep_others_out(tmp_path: Path) -> None:
    with held_lock(tmp_path, "generate", shared=True):
        with held_lock(tmp_path, "generate", shared=True):
            pass
        with pytest.raises(BusyError), held_lock(tmp_path, "generate"):
            pass
    with (
        held_lock(tmp_path, "generate"),
        pytest.raises(BusyError),
        held_lock(tmp_path, "generate", shared=True),
    ):
        pass


def test_another_user_may_write_the_lock_whatever_the_umask(tmp_path: Path) -> None:
    usual = os.umask(0o077)
    try:
        with held_lock(tmp_path, "generate"):
            pass
    finally:
        os.umask(usual)
    assert (tmp_path / "locks" / "generate.lock").stat().st_mode & 0o777 == 0o666


def test_a_link_in_a_lock_s_stead_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "generate.lock").symlink_to(tmp_path / "mine")
    with held_lock(tmp_path, "generate"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("asked", "is_terminal", "as_json", "waits"),
    [
        (None, True, False, True),
        (None, True, True, False),  # a program reads what it prints
        (None, False, False, False),
        ("1", False, True, True),
        ("0", True, False, False),
    ],
)
def test_a_command_waits_on_a_terminal_or_where_it_is_told_to(
    asked: str | None,
    is_terminal: bool,
    as_json: bool,
    waits: bool,
    tmp_path: Path,
    holder: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(WAIT_VARIABLE, raising=False)
    if asked is not None:
        monkeypatch.setenv(WAIT_VARIABLE, asked)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    monkeypatch.setattr("lyra_data.engine.locks.time.sleep", lambda seconds: holder.kill())

    def work(progress: object) -> Summary:
        with held_lock(tmp_path / ".work", "generate"):
            return Summary("generate", "done", {})

    if waits:
        guarded(work, as_json)
        assert f"by process {holder.pid} on" in " ".join(capfd.readouterr().err.split())
    else:
        with pytest.raises(typer.Exit):
            guarded(work, as_json)
        assert "Waiting" not in capfd.readouterr().err
