"""Two commands in one project at once: of one user, and of two users who share a folder."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.locks import held_lock
from stages.annotate import run_annotate
from stages.cli import app
from stages.workspace import STAGES
from tests.children import succeeds_in_fresh_process
from tests.pipeline.project import Project
from tests.warm_processes import warm_context


def invoke(*arguments: str | Path) -> dict[str, Any]:
    done = CliRunner().invoke(app, [str(word) for word in arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_who_only_looks_never_waits_for_a_stage(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    run_annotate(project.params_file)
    clips = project.root / "outputs" / "clips"
    holder = _in_child(_hold_all, project.root)
    try:
        assert invoke("check", clips, "--json")["clips"]
        assert invoke("inspect", clips / "wall", "--output", tmp_path / "looked.png", "--json")
        assert invoke("estimate", "--params", project.params_file, "--json")
    finally:
        holder.kill()
        holder.join()


@pytest.mark.slow
def test_a_second_run_on_a_terminal_waits_and_then_finds_all_finished(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    run_annotate(project.params_file)
    first = sha256_of_files(project.root / "outputs" / "clips")
    holder = _in_child(_hold_all, project.root)
    ours, theirs = pty.openpty()
    text = b""
    with subprocess.Popen(
        [sys.executable, "-m", "stages.cli", "annotate"],
        cwd=project.root,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as second:
        os.close(theirs)
        while (part := _read(ours)) and b"Ctrl-C stops waiting" not in (text := text + part):
            pass
        assert second.poll() is None, text.decode()
        holder.kill()
        while part := _read(ours):
            text += part
        second.wait()
    os.close(ours)
    assert second.returncode == 0, text.decode()
    assert f"annotate is being done here already, by process {holder.pid}" in text.decode()
    assert "1 found finished" in " ".join(text.decode().split())
    assert sha256_of_files(project.root / "outputs" / "clips") == first


def _read(terminal: int) -> bytes:
    """Return what was written to a terminal; nothing where nobody has it open any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def _hold_all(root: Path, ready: Any) -> None:
    with ExitStack() as held:
        for work in (*STAGES, "run"):
            held.enter_context(held_lock(root / ".work", work))
        ready.set()
        signal.pause()


def _in_child(work: Callable[..., None], *arguments: object) -> Any:
    """Return a process that has said that it is ready."""
    ready = warm_context().Event()
    child = warm_context().Process(  # type: ignore[attr-defined]
        target=work, args=(*arguments, ready), daemon=True
    )
    child.start()
    assert ready.wait(300)
    return child


# --- two users ------------------------------------------------------------------------------

ALICE, BOB, BOTH = 12_345, 12_346, 12_347
"""Users and a group that need not have a name."""

ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def _be(user: int, umask: int) -> None:
    os.umask(umask)
    os.setgroups([BOTH])
    os.setgid(user)
    os.setuid(user)


def _annotate_as(user: int, umask: int, root: Path, practice: Path, answer: Path) -> None:
    from stages.running import run_timed

    # What is imported later may lie where another user must not look.
    run_timed("annotate", Project(practice).params_file)
    answered = os.open(answer, os.O_WRONLY | os.O_CREAT)
    _be(user, umask)
    try:
        said = json.dumps(run_timed("annotate", root / "params.yaml").facts)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    os.write(answered, said.encode())


def _as(user: int, root: Path, umask: int = 0o022) -> str:
    """Return what a user who annotates a project is told: facts as JSON, or an error."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (user, umask, root, Path(folder) / "practice", Path(folder) / "answer")
        assert succeeds_in_fresh_process(_annotate_as, *arguments)
        return (Path(folder) / "answer").read_text()


def _made(said: str) -> int:
    return json.loads(said)["made"]


@pytest.fixture
def alices_project(tmp_path: Path) -> Project:
    """A project that belongs to Alice alone; Bob may read it."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    project = Project(tmp_path / "project")
    for path in (project.root, *project.root.rglob("*")):
        os.chown(path, ALICE, ALICE)
    return project


@ONLY_ROOT
def test_what_another_user_may_not_write_is_told_with_a_fix_and_nothing_is_lost(
    alices_project: Project,
) -> None:
    assert _made(_as(ALICE, alices_project.root)) == 1
    (alices_project.root / ".work" / "locks" / "annotate.lock").unlink()  # states who came last
    before = sha256_of_files(alices_project.root)
    refusal = _as(BOB, alices_project.root)
    assert refusal.startswith("StorageError") and "permission" in refusal, refusal
    assert str(alices_project.root) in refusal and "How to mend it" in refusal
    after = sha256_of_files(alices_project.root)
    assert {name: after[name] for name in before} == before


@ONLY_ROOT
def test_two_users_of_a_group_s_folder_go_on_with_each_other_s_work(
    alices_project: Project,
) -> None:
    root = alices_project.root
    for path in (root, *root.rglob("*")):
        os.chown(path, ALICE, BOTH)
        path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))
    assert _made(_as(ALICE, root, umask=0o002)) == 1
    first = sha256_of_files(root / "outputs" / "clips")
    assert _made(_as(BOB, root, umask=0o002)) == 0
    assert sha256_of_files(root / "outputs" / "clips") == first


@ONLY_ROOT
def test_a_lock_keeps_another_user_out_too(alices_project: Project) -> None:
    root = alices_project.root
    assert _made(_as(ALICE, root, umask=0o077)) == 1
    (root / ".work").chmod(0o755)
    (root / ".work" / "locks").chmod(0o755)
    with held_lock(root / ".work", "annotate"):
        assert _as(BOB, root).startswith("BusyError")
