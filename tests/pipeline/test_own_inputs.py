"""Inputs named on the command line: annotated beside the pipeline, or made into a project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from lyra_data.clips.store import read_clip
from lyra_data.engine.errors import BusyError, CorruptDataError, InputError, ParamsError
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.locks import held_lock
from lyra_data.sources import SOURCES
from stages.annotate import run_annotate
from stages.cli import app
from stages.presets import preset_names
from stages.running import run_timed
from stages.verbs.annotate_inputs import run_annotate_inputs
from stages.verbs.project import init_project, run_project
from stages.verbs.project_choice import made_project, project_name
from stages.verbs.project_inputs import bring_in, files_below, same_content
from stages.verbs.project_record import read_record
from stages.workspace import STAGES
from tests.goldens import REPOSITORY
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
    assert list(stages) == list(STAGES)
    assert not [dep for dep in stages["annotate"]["deps"] if dep.startswith("lyra_data")]
    comments = [line for line in (folder / "dvc.yaml").read_text().splitlines() if "#" in line]
    assert comments == [
        "# The code is not among the dependencies: after an upgrade, `dvc repro --force`."
    ]


def test_a_project_takes_no_more_frames_of_its_videos_than_it_was_told(tmp_path: Path) -> None:
    write_source(tmp_path / "one")
    frames = tmp_path / "film"
    frames.mkdir()
    for index in range(4):
        Image.new("RGB", (48, 32), (index, 0, 0)).save(frames / f"{index}.png")
    folder = tmp_path / "project"
    inputs = [tmp_path / "one", frames]
    made_project(folder, inputs, "video", max_frames=3)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    assert [source.get("max_frames") for source in params["annotate"]["sources"]] == [None, 3]
    assert made_project(folder, inputs, None, max_frames=3) == folder
    with pytest.raises(InputError, match="takes 3 frames of its videos, not 2"):
        made_project(folder, inputs, None, max_frames=2)
    with pytest.raises(InputError, match="none of the inputs is a video"):
        init_project(tmp_path / "other", inputs[:1], max_frames=3)
    assert not (tmp_path / "other").exists()


def test_a_project_without_inputs_is_the_demo(tmp_path: Path) -> None:
    assert invoke("init", tmp_path / "demo").exit_code == 0
    text = (tmp_path / "demo" / "params.yaml").read_text()
    assert text == (REPOSITORY / "params.yaml").read_text()
    assert read_record(tmp_path / "demo").preset == "demo"
    assert made_project(tmp_path / "demo", [], None) == tmp_path / "demo"


WHEEL = """
import sys
from pathlib import Path
from stages.cli import app
assert Path(sys.modules["stages"].__file__).is_relative_to(Path(sys.argv.pop(1)))
sys.argv[0] = "lyra-data"
app()
"""


@pytest.mark.slow
def test_the_wheel_alone_begins_projects_and_runs_their_first_stage(tmp_path: Path) -> None:
    """Outside a clone, from an empty folder, with nothing but the wheel's files on the path."""
    source = tmp_path / "source"
    for name in ("lyra_data", "lyra_model", "stages"):
        shutil.copytree(REPOSITORY / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    build += ["--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    shutil.rmtree(source)
    write_source(tmp_path / "mine" / "one")
    empty = tmp_path / "empty"
    empty.mkdir()

    def lyra_data(*arguments: str | Path) -> None:
        command = [sys.executable, "-c", WHEEL, str(tmp_path / "site"), *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    lyra_data("init", "demo")
    lyra_data("check-params", "--params", "demo/params.yaml")
    for preset in preset_names():
        lyra_data("init", f"of_{preset}", tmp_path / "mine" / "one", "--preset", preset)
        stages = yaml.safe_load((empty / f"of_{preset}" / "dvc.yaml").read_text())["stages"]
        assert list(stages) == list(STAGES)
    lyra_data("annotate", "--params", "of_cpu-small/params.yaml")
    assert read_clip(empty / "of_cpu-small" / "outputs" / "clips" / "one").scene_id == "one"


@pytest.mark.slow
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
    assert listed[0] == "annotate" and listed[-1] == "reconstruct"


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


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("films/my dog.mp4", "my_dog"),
        ("films/猫.mp4", "猫"),
        ("films/собака бежит.mp4", "собака_бежит"),
        ("films/---!.mp4", "---"),
        ("films/!!!.mp4", "project"),
    ],
)
def test_a_project_is_named_after_its_input(given: str, name: str) -> None:
    assert project_name(Path(given)) == name


def test_a_folders_name_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "scan.v2").mkdir()
    assert project_name(tmp_path / "scan.v2") == "scan_v2"
    assert project_name(tmp_path / "scan.v2" / "..") == project_name(tmp_path)


# a project and what it was made of


@pytest.fixture
def two_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two inputs of one name that hold different pictures; the working folder is tmp_path."""
    for folder, red in (("a", 0), ("b", 200)):
        write_source(tmp_path / folder / "scene")
        (tmp_path / folder / "scene" / "notes.txt").write_text(f"{red}")
    monkeypatch.chdir(tmp_path)
    return Path("a/scene"), Path("b/scene")


def test_another_input_of_the_same_name_gets_a_project_of_its_own(
    two_scenes: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = two_scenes
    assert made_project(None, [a], None) == Path("runs/scene")
    assert made_project(None, [b], None) == Path("runs/scene_2")
    assert "made of another input" in caplog.text and str(a.absolute()) in caplog.text
    assert made_project(None, [a], None) == Path("runs/scene")  # each is found again
    assert made_project(None, [b], None) == Path("runs/scene_2")
    for folder, source in (("runs/scene", a), ("runs/scene_2", b)):
        held = Path(folder) / "inputs" / "scene"
        assert sha256_of_files(held) == sha256_of_files(source)


def test_the_same_content_from_elsewhere_is_the_same_input(two_scenes: tuple[Path, Path]) -> None:
    a, _ = two_scenes
    folder = made_project(None, [a], None)
    shutil.copytree(a, "copied/scene")
    assert made_project(None, [Path("copied/scene")], None) == folder
    (Path("copied/scene") / "one_more.txt").write_text("")
    assert made_project(None, [Path("copied/scene")], None) == Path("runs/scene_2")


def test_an_edit_in_place_changes_no_project_that_was_made_before(
    two_scenes: tuple[Path, Path],
) -> None:
    a, _ = two_scenes
    folder = made_project(None, [a], None)
    held = sha256_of_files(folder / "inputs" / "scene")
    (a / "notes.txt").write_text("edited")
    assert sha256_of_files(folder / "inputs" / "scene") == held
    assert made_project(None, [a], None) == Path("runs/scene_2")  # it is another input now


@pytest.mark.parametrize(("limit", "linked"), [(7, False), (6, True)])
def test_large_inputs_are_linked(
    limit: int, linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.verbs.project_inputs.COPIED_BYTES", limit)
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "a.bin").write_bytes(b"1234")
    (tmp_path / "film" / "b.bin").write_bytes(b"567")
    bring_in(tmp_path / "film", tmp_path / "held")
    assert (tmp_path / "held" / "b.bin").samefile(tmp_path / "film" / "b.bin") == linked
    assert (tmp_path / "held" / "a.bin").read_bytes() == b"1234"


def test_another_preset_gets_a_project_of_its_own(two_scenes: tuple[Path, Path]) -> None:
    a, _ = two_scenes
    assert made_project(None, [a], "video") == Path("runs/scene")
    assert made_project(None, [a], "cpu-small") == Path("runs/scene_2")
    assert made_project(None, [a], "cpu-small") == Path("runs/scene_2")
    assert read_record(Path("runs/scene_2")).preset == "cpu-small"
    with pytest.raises(InputError, match=r"runs/scene \(preset video\), runs/scene_2") as caught:
        made_project(None, [a], None)
    assert "--preset" in str(caught.value.fix)


def test_a_named_project_is_not_run_on_what_it_was_not_made_of(
    two_scenes: tuple[Path, Path],
) -> None:
    a, b = two_scenes
    mine = Path("mine")
    assert made_project(mine, [a], None) == mine
    assert made_project(mine, [a], "video") == made_project(mine, [], None) == mine
    with pytest.raises(InputError, match="made of another input"):
        made_project(mine, [b], None)
    with pytest.raises(InputError, match="made of another input"):
        made_project(mine, [a, b], None)
    with pytest.raises(InputError, match="from preset video, not cpu-small"):
        made_project(mine, [], "cpu-small")
    result = invoke("run", b, "--project", mine, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["where"] == "mine"


def test_a_project_without_a_record_is_known_by_its_inputs(two_scenes: tuple[Path, Path]) -> None:
    a, b = two_scenes
    folder = made_project(None, [a], None)
    (folder / "lyra-project.json").unlink()
    assert made_project(None, [a], None) == folder
    assert made_project(None, [b], None) == Path("runs/scene_2")


def test_a_record_stands_for_inputs_that_were_removed(two_scenes: tuple[Path, Path]) -> None:
    a, b = two_scenes
    folder = made_project(None, [a], None)
    shutil.rmtree(folder / "inputs")
    assert made_project(None, [a], None) == folder
    assert made_project(None, [b], None) == Path("runs/scene_2")


@pytest.mark.parametrize("text", ["[]", "{", '{"format": 1, "preset": "video", "inputs": [{}]}'])
def test_a_damaged_record_is_refused(two_scenes: tuple[Path, Path], text: str) -> None:
    folder = made_project(None, [two_scenes[0]], None)
    (folder / "lyra-project.json").write_text(text)
    with pytest.raises(CorruptDataError) as caught:
        made_project(None, [two_scenes[0]], None)
    assert caught.value.where == str(folder / "lyra-project.json")


def test_something_else_in_runs_is_left_alone(two_scenes: tuple[Path, Path]) -> None:
    Path("runs/scene").mkdir(parents=True)
    Path("runs/scene/thesis.tex").write_text("mine")
    assert made_project(None, [two_scenes[0]], None) == Path("runs/scene_2")
    assert Path("runs/scene/thesis.tex").read_text() == "mine"


def test_a_project_made_meanwhile_is_not_replaced(
    two_scenes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two_scenes
    monkeypatch.setattr("stages.verbs.project.is_free", lambda folder: True)
    init_project(Path("runs/scene"), [a], preset="video")
    with pytest.raises(InputError, match="not empty"):
        init_project(Path("runs/scene"), [b], preset="video")
    assert sha256_of_files(Path("runs/scene/inputs/scene")) == sha256_of_files(a)


def test_a_project_is_not_run_twice_at_once(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    for work, run in (
        ("run", lambda: run_project(project.root)),
        ("annotate", lambda: run_timed("annotate", project.params_file)),
    ):
        with (
            held_lock(project.root / ".work", work),
            pytest.raises(BusyError, match=f"{work} is being done here already, by process"),
        ):
            run()
    assert not (project.root / "outputs" / "clips").exists()


# links, and projects inside their inputs


def test_relative_links_are_brought_in_as_their_files(
    two_scenes: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "linked").mkdir()
    for file in two_scenes[0].iterdir():
        (tmp_path / "linked" / file.name).symlink_to(f"../a/scene/{file.name}")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0123abcd").write_bytes(b"film")
    (tmp_path / "snapshot" / "clip.mp4").symlink_to("../blobs/0123abcd")
    init_project(
        tmp_path / "p", [tmp_path / "linked", tmp_path / "snapshot/clip.mp4"], preset="video"
    )
    held = tmp_path / "p" / "inputs"
    assert sha256_of_files(held / "linked") == sha256_of_files(two_scenes[0])
    assert not any(path.is_symlink() for path in held.rglob("*"))
    assert (held / "clip.mp4").read_bytes() == b"film"
    assert same_content(held / "clip.mp4", tmp_path / "snapshot" / "clip.mp4")


def test_a_project_inside_its_input_is_no_part_of_it(
    two_scenes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two_scenes[0])
    before = sha256_of_files(Path())
    assert made_project(None, [Path()], None) == Path("runs/scene")
    assert sha256_of_files(Path("runs/scene/inputs/scene")) == before
    assert made_project(None, [Path()], None) == Path("runs/scene")  # and is found again
    assert made_project(None, [Path()], "cpu-small") == Path("runs/scene_2")
    assert sha256_of_files(Path("runs/scene_2/inputs/scene")) == before


def test_a_link_back_up_ends_and_one_aside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "images_4").mkdir()
    (tmp_path / "images_4" / "0.png").write_bytes(b"0")
    (tmp_path / "images").symlink_to("images_4")
    (tmp_path / "images_4" / "self").symlink_to(".")
    (tmp_path / "images_4" / "up").symlink_to("..")
    assert list(files_below(tmp_path)) == ["images/0.png", "images_4/0.png"]


def test_a_link_that_leads_nowhere_is_named(two_scenes: tuple[Path, Path]) -> None:
    (two_scenes[0] / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match="leads nowhere") as caught:
        made_project(None, [two_scenes[0]], None)
    assert str(caught.value.where).endswith("gone.png")
    assert not Path("runs/scene").exists()
