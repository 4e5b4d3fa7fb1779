"""Annotation of many scenes: killed, run again, changed, told where to run."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from lyra_data.annotation.annotate import _check_scene_ids
from lyra_data.annotation.annotators.given import GivenAnnotator
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.placement import Placement
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial
from stages import annotate as stage
from stages.annotate import run_annotate
from stages.cli import app
from tests.factories import make_frames
from tests.pipeline.project import HEIGHT, WIDTH, Project, write_source

SCENES = ("wall", "second", "third")
KILL_AT_THE_THIRD = """
import os, signal
from pathlib import Path
from lyra_data.annotation.annotators.given import GivenAnnotator
from stages.annotate import run_annotate

annotate = GivenAnnotator.annotate
def annotate_or_die(self, material):
    if material.scene_id == "third":
        os.kill(os.getpid(), signal.SIGKILL)
    return annotate(self, material)
GivenAnnotator.annotate = annotate_or_die
run_annotate(Path("params.yaml"))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three scenes of different pictures."""
    project = Project(tmp_path / "project")
    for index, name in enumerate(SCENES):
        if index:
            write_source(project.root / "inputs" / name)
            paint(project, name, seed=index)
    sources = [{"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in SCENES]
    project.change("annotate", "sources", to=sources)
    return project


def paint(project: Project, name: str, *, seed: int) -> None:
    frame = make_frames(1, HEIGHT, WIDTH, seed=seed)[0].permute(1, 2, 0).numpy()
    Image.fromarray(frame).save(project.root / "inputs" / name / "image.png")


def counts(project: Project) -> tuple[int, int]:
    """Scenes made, and scenes found finished, by a further run."""
    facts = run_annotate(project.params_file).facts
    return facts["made"], facts["reused"]


def results(project: Project) -> dict[str, str]:
    return sha256_of_files(project.root / "outputs")


def test_a_killed_run_goes_on_with_the_scenes_it_had_finished(project: Project) -> None:
    project.run_and_be_killed(KILL_AT_THE_THIRD)
    assert not (project.root / "outputs" / "clips").exists()
    assert counts(project) == (1, 2)
    gone_on = results(project)
    assert len([name for name in gone_on if name.endswith("clip.json")]) == 3
    (project.root / ".work").rename(project.root / "elsewhere")
    assert counts(project) == (3, 0)
    assert results(project) == gone_on


def test_a_scene_is_annotated_again_where_what_shapes_it_changes_and_no_other(
    project: Project,
) -> None:
    first = run_annotate(project.params_file).facts
    project.change("annotate", "max_failed_fraction", to=0.5)
    again = run_annotate(project.params_file).facts
    assert (first["made"], again["made"], again["reused"]) == (3, 0, 3)
    assert again["scenes"] == first["scenes"]
    paint(project, "second", seed=9)
    assert counts(project) == (1, 2)
    intrinsics = project.root / "inputs" / "third" / "intrinsics.json"
    intrinsics.write_text(json.dumps(json.loads(intrinsics.read_text()) | {"prompt": "a wall"}))
    assert counts(project) == (1, 2)
    project.change("annotate", "annotator", "fps", to=12)
    assert counts(project) == (3, 0)


def test_results_share_the_files_of_the_store_and_a_change_in_them_is_mended(
    project: Project,
) -> None:
    assert counts(project) == (3, 0)
    before = results(project)
    path = project.root / "outputs" / "clips" / "wall" / "depth.npy"
    assert path.stat().st_nlink == 2
    path.write_bytes(path.read_bytes() + b"mine")
    assert counts(project) == (1, 2)
    assert results(project) == before


def test_no_scene_is_kept_in_memory(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate = GivenAnnotator.annotate
    clips: list[weakref.ref[Clip]] = []

    def watch(self: GivenAnnotator, material: SourceMaterial) -> Clip:
        assert [clip() for clip in clips] == [None] * len(clips)
        clip = annotate(self, material)
        clips.append(weakref.ref(clip))
        return clip

    monkeypatch.setattr(GivenAnnotator, "annotate", watch)
    run_annotate(project.params_file)
    assert len(clips) == 3


class WatchedId(str):
    """Counts how often scene ids are compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        WatchedId.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_the_work_of_checking_scene_ids_grows_as_their_number_does() -> None:
    scene_ids: list[str] = [WatchedId(f"scene_{index}") for index in range(500)]
    _check_scene_ids(scene_ids)
    assert WatchedId.comparisons < 10 * len(scene_ids)


# Where it runs


def invoke(project: Project, *arguments: str, **environment: str) -> Any:
    command = ["annotate", "--params", str(project.params_file), "--json", *arguments]
    return CliRunner().invoke(app, command, env=environment)


@pytest.mark.parametrize("is_told_by", ["options", "environment"])
def test_models_run_where_options_or_the_environment_say(
    project: Project, monkeypatch: pytest.MonkeyPatch, is_told_by: str
) -> None:
    crews: list[Crew] = []
    annotate_sources = stage.annotate_sources

    def watch(*arguments: Any, crew: Crew, **options: Any) -> Any:
        crews.append(crew)
        return annotate_sources(*arguments, crew=crew, **options)

    monkeypatch.setattr(stage, "annotate_sources", watch)
    if is_told_by == "options":
        result = invoke(project, "--device", "cpu", "--offload", "group")
    else:
        result = invoke(project, LYRA_DEVICE="cpu", LYRA_OFFLOAD="group")
    assert result.exit_code == 0, result.output
    (crew,) = crews
    assert crew.placement_here() == Placement("cpu", "group", project.root)


@pytest.mark.parametrize("device", ["cuda:7", "gpu", "meta"])
def test_a_device_that_is_not_there_is_refused(project: Project, device: str) -> None:
    result = invoke(project, "--device", device)
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "ExecutorError"  # as generate tells it
    assert error["where"] == "--device" and f"{device!r} is no device" in error["what"]
    assert "cpu" in error["fix"]
    assert not (project.root / "outputs").exists()
