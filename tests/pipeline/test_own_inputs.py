"""Inputs named on the command line: annotated beside the pipeline, or made into a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lyra_data.clips.store import read_clip
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.sources import SOURCES
from stages.annotate import run_annotate
from stages.cli import app
from stages.verbs.annotate_inputs import run_annotate_inputs
from stages.verbs.project import default_folder, init_project, run_project
from tests.pipeline.project import Project, tiny_params, write_source


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    for name in ("one", "two"):
        write_source(tmp_path / "mine" / name)
    return project


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in arguments])


# annotate INPUT...


def test_clips_of_inputs_are_those_that_the_stage_makes(project: Project, tmp_path: Path) -> None:
    inputs = [tmp_path / "mine" / name for name in ("one", "two")]
    done = run_annotate_inputs(project.params_file, inputs)
    folder = project.root / "outputs" / "annotated"
    assert done.facts["clips"] == [str(folder / name) for name in ("one", "two")]
    project.change("annotate", "sources", to=done.facts["sources"])
    again = run_annotate(project.params_file).facts
    assert (again["made"], again["reused"]) == (0, 2)  # the lines that were told find them again
    clips = project.root / "outputs" / "clips"
    for name in ("one", "two"):
        assert sha256_of_files(clips / name) == sha256_of_files(folder / name)


def test_a_further_call_adds_its_clips_and_keeps_the_others(
    project: Project, tmp_path: Path
) -> None:
    output = tmp_path / "clips"
    for name in ("one", "two"):
        run_annotate_inputs(project.params_file, [tmp_path / "mine" / name], output=output)
    assert sorted(path.name for path in output.iterdir()) == ["one", "two"]
    assert read_clip(output / "one").scene_id == "one"


def test_nothing_but_a_clip_is_replaced(project: Project, tmp_path: Path) -> None:
    (tmp_path / "clips" / "one").mkdir(parents=True)
    (tmp_path / "clips" / "one" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="no clip stands") as caught:
        run_annotate_inputs(
            project.params_file, [tmp_path / "mine" / "one"], output=tmp_path / "clips"
        )
    assert caught.value.where == str(tmp_path / "clips" / "one")
    assert (tmp_path / "clips" / "one" / "mine.txt").read_text() == "mine"


def test_workers_change_no_clip(project: Project, tmp_path: Path) -> None:
    inputs = [tmp_path / "mine" / name for name in ("one", "two")]
    alone = run_annotate_inputs(project.params_file, inputs, output=tmp_path / "alone")
    (project.root / ".work").rename(tmp_path / "elsewhere")
    beside = run_annotate_inputs(project.params_file, inputs, output=tmp_path / "beside", workers=2)
    assert (alone.facts["made"], beside.facts["made"]) == (2, 2)
    assert beside.facts["scenes"] == alone.facts["scenes"]
    assert sha256_of_files(tmp_path / "alone") == sha256_of_files(tmp_path / "beside")


@pytest.mark.usefixtures("warm_workers")
def test_a_scene_that_fails_in_a_worker_is_told_with_its_reason(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "two" / "depth.npy").write_bytes(b"cut")
    project.change("annotate", "max_failed_fraction", to=0.5)
    inputs = [tmp_path / "mine" / name for name in ("one", "two")]
    done = run_annotate_inputs(project.params_file, inputs, workers=2)
    assert [scene["scene_id"] for scene in done.facts["scenes"]] == ["one"]
    (failure,) = done.facts["failures"]
    assert failure["item"] == "two" and "depth.npy" in failure["reason"]


def test_an_input_that_nothing_reads_ends_with_2(project: Project, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    result = invoke("annotate", tmp_path / "notes.txt", "--params", project.params_file, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["where"] == str(tmp_path / "notes.txt") and "a video" in error["fix"]


def test_an_output_needs_an_input(project: Project, tmp_path: Path) -> None:
    result = invoke("annotate", "--output", tmp_path, "--params", project.params_file)
    assert result.exit_code == 2
    assert not (project.root / "outputs").exists()


# init and run


def test_a_project_holds_its_inputs_and_a_whole_pipeline(tmp_path: Path) -> None:
    write_source(tmp_path / "mine" / "one")
    folder = tmp_path / "project"
    init_project(folder, [tmp_path / "mine" / "one"], preset="video")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    assert params["annotate"]["sources"] == [
        {"name": "files", "folder": "inputs/one", "scene_id": "one"}
    ]
    assert params["train"]["decoder"]["dynamic"] is True
    (source,) = params["annotate"]["sources"]
    assert SOURCES.create(source, where="test").read(folder).depth is not None
    text = (folder / "params.yaml").read_text()
    assert "# multiples of 16" in text  # what a preset explains is kept
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["annotate", "generate", "package", "train", "evaluate"]
    assert not [dep for dep in stages["annotate"]["deps"] if dep.startswith("lyra_data")]
    comments = [line for line in (folder / "dvc.yaml").read_text().splitlines() if "#" in line]
    assert comments == [
        "# The code is not among the dependencies: after an upgrade, `dvc repro --force`."
    ]


def test_dvc_takes_a_project_of_ones_own(tmp_path: Path) -> None:
    write_source(tmp_path / "mine" / "one")
    folder = tmp_path / "project"
    init_project(folder, [tmp_path / "mine" / "one"], preset="video")
    project = Project.__new__(Project)
    project.root = folder
    project.run("dvc", "init", "--no-scm", "--quiet")
    project.run("dvc", "repro", "annotate")
    assert read_clip(folder / "outputs" / "clips" / "one").scene_id == "one"
    listed = project.run("dvc", "stage", "list", "--name-only").stdout.split()
    assert listed[0] == "annotate" and listed[-1] == "evaluate"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x; touch made_by_a_name; #", "../../inputs", "$(touch made)"])
def test_a_hostile_name_of_a_phase_neither_runs_nor_removes_anything(
    tmp_path: Path, name: str
) -> None:
    write_source(tmp_path / "mine" / "one")
    folder = tmp_path / "project"
    init_project(folder, [tmp_path / "mine" / "one"], preset="video")
    project = Project.__new__(Project)
    project.root = folder
    phases = yaml.safe_load((folder / "params.yaml").read_text())["train"]["phases"]
    project.change("train", "phases", to={name: next(iter(phases.values()))})
    (folder / "outputs" / "dataset").mkdir()
    project.run("dvc", "init", "--no-scm", "--quiet")
    before = {path for path in folder.rglob("*") if ".dvc" not in path.parts}
    project.run("dvc", "repro", "--single-item", f"train@{name}", expect=255)
    after = {path for path in folder.rglob("*") if ".dvc" not in path.parts}
    assert after == before


def test_a_project_runs_from_its_input_to_its_report_and_goes_on(tmp_path: Path) -> None:
    write_source(tmp_path / "mine" / "wall")
    folder = tmp_path / "project"
    init_project(folder, [tmp_path / "mine" / "wall"], preset="video")
    tiny = tiny_params()
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny, sort_keys=False))
    first = run_project(folder)
    assert (folder / "reports" / "report.html").is_file()
    assert first.facts["generate"]["made"] == 2
    again = run_project(folder)
    assert (again.facts["annotate"]["made"], again.facts["generate"]["made"]) == (0, 0)


def test_a_project_is_never_made_over_something_else(tmp_path: Path) -> None:
    write_source(tmp_path / "mine" / "one")
    with pytest.raises(InputError, match="not empty"):
        init_project(tmp_path / "mine", [tmp_path / "mine" / "one"], preset="video")
    with pytest.raises(ParamsError, match="no preset 'vidoe'") as caught:
        init_project(tmp_path / "new", [tmp_path / "mine" / "one"], preset="vidoe")
    assert "did you mean 'video'" in str(caught.value.fix)
    assert not (tmp_path / "new").exists()


def test_running_nothing_is_refused(tmp_path: Path) -> None:
    assert invoke("run").exit_code == 2
    result = invoke("run", "--project", tmp_path / "nowhere", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["where"] == str(tmp_path / "nowhere")


def test_a_project_is_named_after_its_input() -> None:
    assert default_folder([Path("films/my dog.mp4")]) == Path("runs/my_dog")
