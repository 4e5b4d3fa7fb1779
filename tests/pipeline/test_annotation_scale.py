"""Annotation by many processes, killed at any moment: the same bytes, and nobody left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.engine.errors import ScenesFailedError
from lyra_data.engine.executors import worker_process
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial
from stages.annotate import run_annotate
from tests.children import descendants, is_alive, wait_until
from tests.factories import make_frames
from tests.pipeline.project import HEIGHT, WIDTH, Project, write_source

SCENES = ("wall", "second", "third")

RUN_UNTIL_KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from lyra_data.annotation.annotators.given import GivenAnnotator
from stages.annotate import run_annotate

annotate = GivenAnnotator.annotate
solver = '''
import sys, time
from lyra_data.engine.child_processes import end_with_parent
end_with_parent(int(sys.argv[1]))
open("begun", "w").close()
time.sleep(600)
'''

def annotate_slowly(self, material):
    if material.scene_id == "third":
        subprocess.run([sys.executable, "-c", solver, str(os.getpid())])
    return annotate(self, material)

GivenAnnotator.annotate = annotate_slowly  # in every process: each of them imports this file

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
    run_annotate(Path("params.yaml"), workers=int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three scenes of different pictures, annotated in this process."""
    project = Project(tmp_path_factory.mktemp("finished") / "project")
    for seed, name in enumerate(SCENES):
        if seed:
            write_source(project.root / "inputs" / name)
            frame = make_frames(1, HEIGHT, WIDTH, seed=seed)[0].permute(1, 2, 0).numpy()
            Image.fromarray(frame).save(project.root / "inputs" / name / "image.png")
    sources = [{"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in SCENES]
    project.change("annotate", "sources", to=sources)
    run_annotate(project.params_file)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """The same sources, and nothing annotated."""
    project = Project(tmp_path / "project")
    shutil.rmtree(project.root / "inputs")
    shutil.copytree(finished.root / "inputs", project.root / "inputs")
    shutil.copy(finished.params_file, project.params_file)
    return project


def results(project: Project) -> dict[str, str]:
    return sha256_of_files(project.root / "outputs")


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGKILL), (2, signal.SIGINT)])
def test_a_killed_run_leaves_no_process_behind_and_goes_on_to_the_same_bytes(
    project: Project, finished: Project, workers: int, number: int
) -> None:
    script = project.root / "run.py"
    script.write_text(RUN_UNTIL_KILLED)
    command = [sys.executable, str(script), str(workers)]
    with subprocess.Popen(command, cwd=project.root, stderr=subprocess.DEVNULL) as run:
        store = project.root / ".work" / "annotate"
        wait_until((project.root / "begun").exists, 300)
        wait_until(lambda: len(list(store.glob("[0-9a-f]*"))) == 2, 300)
        started = descendants(run.pid)
        assert len(started) >= workers + 1, "workers, and the solver of one of them"
        run.send_signal(number)
        run.wait(timeout=120)
    wait_until(lambda: not any(is_alive(pid) for pid in started), 120)
    assert not (project.root / "outputs" / "clips").exists()

    again = run_annotate(project.params_file, workers=3 - workers)
    assert (again.facts["made"], again.facts["reused"]) == (1, 2)
    assert results(project) == results(finished)
    assert not list((project.root / ".work").rglob(".partial-*"))


def serve_dying_once(*arguments: Any) -> None:
    """Live as a worker process that is killed at the second scene, unless one was before."""
    serve_killed_where(lambda: not Path("killed").exists(), *arguments)


def serve_dying(*arguments: Any) -> None:
    """Live as a worker process that is killed whenever it annotates the second scene."""
    serve_killed_where(lambda: True, *arguments)


def serve_killed_where(is_time: Any, *arguments: Any) -> None:
    annotate = GivenAnnotator.annotate

    def annotate_or_die(self: GivenAnnotator, material: SourceMaterial) -> Clip:
        if material.scene_id == "second" and is_time():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return annotate(self, material)

    GivenAnnotator.annotate = annotate_or_die
    worker_process.serve(*arguments)


@pytest.mark.slow
def test_a_scene_whose_worker_is_killed_is_annotated_by_another(
    project: Project, finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(worker_process, "serve", serve_dying_once)
    done = run_annotate(project.params_file, workers=1)
    assert (project.root / "killed").exists()
    assert (done.facts["made"], done.facts["failures"]) == (3, [])
    assert results(project) == results(finished)


@pytest.mark.slow
def test_a_scene_that_kills_its_workers_fails_with_the_reason_and_the_others_are_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    with monkeypatch.context() as patch:
        patch.setattr(worker_process, "serve", serve_dying)
        with pytest.raises(ScenesFailedError, match="second: the worker was killed by signal 9"):
            run_annotate(project.params_file, workers=1)
    again = run_annotate(project.params_file)
    assert (again.facts["made"], again.facts["reused"]) == (1, 2)
