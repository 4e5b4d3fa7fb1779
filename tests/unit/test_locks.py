"""One process at a time does a piece of work, and the next is told which one has it."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyra_data.engine.errors import BusyError
from lyra_data.engine.locks import held_lock

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
