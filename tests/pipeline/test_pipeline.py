"""The whole pipeline on a tiny project: repeatable, resumable, and idle when nothing changed."""

from __future__ import annotations

import json
import re
import sys

import pytest
import torch
import yaml

from lyra_model.export.ply import read_ply
from lyra_model.judging.protocols.files import read_stated_protocol
from stages.annotate import run_annotate
from stages.generate import run_generate
from stages.package import run_package
from stages.train import run_train
from tests.goldens import REPOSITORY
from tests.pipeline.project import HEIGHT, WIDTH, Project

KILL_IN_GENERATE = """
import os, signal
from pathlib import Path
from lyra_data.generation import view_making
from stages.generate import run_generate

make, calls = view_making.ViewMaker.make, []
def make_one_then_die(self, clip, job):
    if calls:
        os.kill(os.getpid(), signal.SIGKILL)
    calls.append(job)
    return make(self, clip, job)
view_making.ViewMaker.make = make_one_then_die
run_generate(Path("params.yaml"))
"""

KILL_IN_TRAIN = """
import os, signal
from pathlib import Path
from lyra_model.training import phase_trainer as training
from stages.train import run_train

take_step = training.PhaseTrainer.step
def step_until_the_fourth(self, step):
    if step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(self, step)
training.PhaseTrainer.step = step_until_the_fourth
run_train(Path("params.yaml"), phase="demo", checkpoint_steps=2)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("finished")).with_dvc()
    project.run("dvc", "repro")
    return project


def stages_run(output: str) -> list[str]:
    marker = "Running stage '"
    lines = [line for line in output.splitlines() if line.startswith(marker)]
    return [line.removeprefix(marker).split("'")[0] for line in lines]


def test_every_stage_leaves_its_result(finished):
    results = json.loads((finished.root / "reports" / "evaluation.json").read_text())
    methods = {"decoder", "first_phase", "copied", "warped", "fitted"}
    assert set(results["held_out_frames"]) == methods
    num_pixels = results["held_out_frames"]["decoder"]["num_pixels"]
    assert 0 < num_pixels <= 2 * 4 * HEIGHT * WIDTH
    assert num_pixels % (HEIGHT * WIDTH) == 0
    stated = results["protocol"]
    assert stated["name"] == "lyra-views"
    assert read_stated_protocol(stated, where="evaluation.json").pictures.height == HEIGHT
    page = (finished.root / "reports" / "report.html").read_text()
    assert "wall" in page
    assert (finished.root / "reports" / "scenes" / "wall" / "gaussians.ply").stat().st_size > 1000
    for curve in ("training.csv", "held_out.csv"):
        assert len((finished.root / "reports" / "curves" / curve).read_text().splitlines()) > 4


def test_the_example_of_the_python_api_gives_the_gaussians_of_the_report(finished):
    (example,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/api.md").read_text(), re.S)
    said = finished.run(sys.executable, "-c", example).stdout.splitlines()
    assert said[0] == f"wall 1 frames of {HEIGHT} x {WIDTH}"
    assert re.fullmatch(r"\d+\.\d\d dB over 17 frames", said[1])
    expected = read_ply(finished.root / "reports" / "scenes" / "wall" / "gaussians.ply")
    gaussians = read_ply(finished.root / "scene.ply")
    (finished.root / "scene.ply").unlink()
    assert len(gaussians) == len(expected)
    # The report's are in the frame of the first camera, which is the world's here.
    torch.testing.assert_close(gaussians.means, expected.means, atol=1e-4, rtol=1e-4)


def test_a_second_repro_runs_nothing(finished):
    assert stages_run(finished.run("dvc", "repro").stdout) == []


def test_evaluating_again_without_a_change_leaves_every_byte_as_dvc_knows_it(finished):
    finished.cli("evaluate")
    assert "up to date" in finished.run("dvc", "status").stdout


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_bytes_of_an_uninterrupted_one(finished, tmp_path):
    project = Project(tmp_path / "killed").with_dvc()
    run_annotate(project.params_file)
    project.run_and_be_killed(KILL_IN_GENERATE)
    assert not (project.root / "outputs" / "views").exists()
    again = run_generate(project.params_file)
    assert (again.facts["made"], again.facts["reused"]) == (1, 1)

    run_package(project.params_file)
    run_train(project.params_file, phase="small")
    project.run_and_be_killed(KILL_IN_TRAIN)
    assert not (project.root / "outputs" / "models" / "demo").exists()
    project.run("dvc", "repro")
    assert project.hashes() == finished.hashes()


@pytest.mark.slow
def test_changing_the_last_phase_runs_that_phase_and_what_reads_models_alone(finished):
    """A fitted scene reads no model, and DVC cannot know that: it is found finished."""
    finished.change("train", "phases", "demo", "steps", to=7)
    output = finished.run("dvc", "repro").stdout
    assert stages_run(output) == ["train@demo", "evaluate", "reconstruct"]
    assert "(0 made, 1 found finished)" in " ".join(output.split())


def test_only_stages_that_judge_depend_on_the_real_photos(finished):
    lock = yaml.safe_load((finished.root / "dvc.lock").read_text())
    readers = [
        name
        for name, stage in lock["stages"].items()
        if any(dep["path"].startswith("outputs/held_out") for dep in stage.get("deps", []))
    ]
    assert sorted(readers) == ["evaluate", "reconstruct"]
