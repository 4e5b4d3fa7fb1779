"""Generation as a user runs it: many processes, killed at any moment, kept in DVC's cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.worker import STAGE as VIEWS_STAGE
from stages.annotate import run_annotate
from stages.cli import app
from stages.generate import run_generate
from tests.children import descendants, is_alive, wait_until
from tests.pipeline.project import LITTLE_DISK, Project, write_source

RUN_UNTIL_KILLED = """
import os, sys, time
from pathlib import Path
from lyra_data.generation import runner, view_making
from stages.generate import run_generate

class SlowAtTheSecond(view_making.ViewMaker):
    def make(self, clip, job):
        Path("begun").open("a").write(f"{os.getpid()} {job.name}\\n")
        if job.trajectory == "zoom_in":
            time.sleep(600)
        return super().make(clip, job)

if __name__ == "__main__":
    import signal
    from functools import partial
    import stages.generate
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
    stages.generate.generate_views = partial(runner.generate_views, maker=SlowAtTheSecond)
    run_generate(Path("params.yaml"), workers=2)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("finished") / "project")
    write_source(project.root / "inputs" / "other")
    wall = {"name": "files", "folder": "inputs/wall", "scene_id": "wall"}
    other = {"name": "files", "folder": "inputs/other", "scene_id": "other"}
    project.change("annotate", "sources", to=[wall, other])
    run_annotate(project.params_file)
    run_generate(project.params_file)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """The same clips, and nothing generated."""
    copied = Project.__new__(Project)
    copied.root = tmp_path / "project"
    copied.root.mkdir()
    for name in ("params.yaml", "inputs", "outputs/clips"):
        subprocess.run(["mkdir", "-p", (copied.root / name).parent], check=True)
        subprocess.run(["cp", "-r", finished.root / name, copied.root / name], check=True)
    return copied


def views(project: Project) -> dict[str, str]:
    return sha256_of_files(project.root / "outputs" / "views")


def begun(project: Project) -> list[list[str]]:
    path = project.root / "begun"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_process_behind_and_goes_on_to_the_same_bytes(
    project: Project, finished: Project, number: int
) -> None:
    script = project.root / "run.py"
    script.write_text(RUN_UNTIL_KILLED)
    with ExitStack() as stack:
        run = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(script)], cwd=project.root, stderr=subprocess.DEVNULL
            )
        )
        stack.callback(run.kill)  # a condition that fails does not wait for a view of ten minutes
        finished_views = project.root / ".work" / "generate"
        wait_until(lambda: len(begun(project)) == 4 or run.poll() is not None)
        wait_until(lambda: len(list(finished_views.glob("[0-9a-f]*"))) == 2)
        workers = {int(pid) for pid, _ in begun(project)}
        started = descendants(run.pid)
        assert len(workers) == 2 and workers <= started
        run.send_signal(number)
        run.wait(timeout=60)
    wait_until(lambda: not any(is_alive(pid) for pid in started), 60)
    assert not (project.root / "outputs" / "views").exists()

    again = run_generate(project.params_file)
    assert (again.facts["made"], again.facts["reused"]) == (2, 2)
    assert views(project) == views(finished)
    assert not list((project.root / ".work").rglob(".partial-*"))


@pytest.mark.slow
def test_workers_on_a_disk_without_space_end_the_run_with_one_message(project: Project) -> None:
    command = f"{LITTLE_DISK}; exec lyra-data generate --workers 2 --json"
    done = project.run("bash", "-c", command, expect=2)
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "StorageError" and "ulimit" in error["fix"]
    assert "Traceback" not in done.stderr
    assert run_generate(project.params_file).facts["made"] == 4


@pytest.mark.slow
def test_dvc_s_cache_and_its_checkout_leave_the_scratch_store_whole(
    project: Project, finished: Project
) -> None:
    run_generate(project.params_file)
    for command in (
        ["init", "--no-scm", "--quiet"],
        ["config", "core.analytics", "false"],
        ["config", "cache.type", "reflink,hardlink,copy"],
        ["add", "--quiet", "outputs/views"],
    ):
        project.run("dvc", *command)
    store = ScratchStore(project.root / ".work", VIEWS_STAGE)
    keys = [path.name for path in store.folder.glob("[0-9a-f]*")]
    assert len(keys) == 4 and all(store.get(key) for key in keys)

    subprocess.run(["rm", "-rf", project.root / "outputs" / "views"], check=True)  # as dvc repro
    again = run_generate(project.params_file)
    assert (again.facts["made"], again.facts["reused"]) == (0, 4)
    assert views(project) == views(finished)
    project.run("dvc", "checkout", "--force", "outputs/views.dvc")
    assert views(project) == views(finished)
    assert all(store.get(key) for key in keys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "0"], "greater than or equal to 1"),
        (["--workers", "two"], "workers"),
        (["--executor", "slurm"], "'slurm' is not one of 'local', 'ray'"),
        (["--offload", "all"], "'all' is not one of 'none', 'model', 'group', 'sequential'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_the_choices(
    project: Project, arguments: list[str], said: str
) -> None:
    command = ["generate", *arguments, "--params", str(project.params_file)]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
    assert not (project.root / "outputs" / "views").exists()


def test_a_device_that_is_not_there_is_refused_before_anything_is_made(project: Project) -> None:
    error = project.cli("generate", "--device", "cuda:7", expect=2)["error"]
    assert error["where"] == "--device" and "cuda:7" in error["what"]
    assert not (project.root / ".work" / "generate").exists()


def test_workers_can_be_chosen_where_dvc_runs_the_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "LYRA_WORKERS", "0")
    result = CliRunner().invoke(app, ["generate", "--params", str(project.params_file)])
    assert result.exit_code == 2 and "LYRA_WORKERS" in result.output


def test_a_gpu_without_memory_is_told_with_the_offloading_that_helps(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lyra_data.generation.view_making import ViewMaker

    def refuse(self: ViewMaker, clip: Any, job: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    monkeypatch.setattr(ViewMaker, "make", refuse)
    command = ["generate", "--params", str(project.params_file), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "MemoryShortageError" and error["where"] == "the GPU"
    assert "--offload" in error["fix"]
