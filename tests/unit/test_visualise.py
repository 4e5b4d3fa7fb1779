"""`lyra-data visualise`: a project's checkpoint draws scenes; what cannot be drawn is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_model.decoder import create_decoder
from lyra_model.phases.checkpoints import Checkpoint, save_checkpoint
from lyra_model.training.record import record_of
from stages.cli import app
from tests.pipeline.project import tiny_params
from tests.unit.test_training import make_dataset, make_params

SPLITS = {"a": "train", "b1": "validation", "b2": "validation"}
FILES = ["grid.png", "scene.ply", "video.mp4"]


def save_phase(dataset: SceneDataset, folder: Path, **changes: Any) -> None:
    """A phase as training saves it, with weights that nobody trained."""
    params = make_params()
    record = record_of(params, "small", 1, dataset, None, None, num_processes=1)
    weights = create_decoder(params.decoder, seed=1).state_dict()
    save_checkpoint(Checkpoint(weights, record | changes, history=[]), folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("projects") / "project"
    dataset = make_dataset(root / "outputs" / "dataset", scenes=tuple(SPLITS), splits=SPLITS)
    (root / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    save_phase(dataset, root / "outputs" / "models" / "small")
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which is the present folder."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    monkeypatch.chdir(root)
    return root


def visualise(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["visualise", *map(str, arguments), "--device", "cpu", "--json"])


def drawn_by(*arguments: str | Path) -> dict[str, Any]:
    answer = visualise(*arguments)
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def refusal_of(*arguments: str | Path) -> dict[str, str]:
    answer = visualise(*arguments)
    assert answer.exit_code == 2, answer.output
    return json.loads(answer.stdout)["error"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_phase_of_the_project_draws_its_validation_scenes_by_name_and_by_folder(project):
    by_name = drawn_by("small")
    folder = project / "reports" / "visualised" / "small"
    assert names_in(folder) == ["b1", "b2", "pictures.json"]
    assert names_in(folder / "b1") == FILES
    assert [scene["scene_id"] for scene in by_name["scenes"]] == ["b1", "b2"]
    assert json.loads((folder / "pictures.json").read_text())["scenes"] == by_name["scenes"]
    grid = (folder / "b1" / "grid.png").read_bytes()
    assert drawn_by("outputs/models/small")["scenes"] == by_name["scenes"]  # replaced: it is ours
    assert (folder / "b1" / "grid.png").read_bytes() == grid


def test_a_checkpoint_of_another_folders_project_finds_its_dataset(project, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    facts = drawn_by(project / "outputs" / "models" / "small", "--scenes", "1")
    assert Path(facts["dataset"]) == project / "outputs" / "dataset"
    assert Path(facts["output"]) == project / "reports" / "visualised" / "small"


def test_without_a_project_a_dataset_and_an_output_are_given(project, tmp_path, monkeypatch):
    (project / "params.yaml").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    checkpoint = project / "outputs" / "models" / "small"
    assert "--dataset" in refusal_of(checkpoint)["fix"]
    given = ("--dataset", project / "outputs" / "dataset", "--output", "here", "--scenes", "a")
    drawn_by(checkpoint, *given)
    assert names_in(tmp_path / "elsewhere" / "here") == ["a", "pictures.json"]


@pytest.mark.parametrize(
    ("scenes", "expected"),
    [(("1",), ["b1"]), (("99",), ["b1", "b2"]), (("a",), ["a"]), (("b2", "a"), ["a", "b2"])],
)
def test_scenes_are_chosen_by_number_and_name(project, scenes, expected):
    options = [word for scene in scenes for word in ("--scenes", scene)]
    facts = drawn_by("small", *options)
    assert [scene["scene_id"] for scene in facts["scenes"]] == expected


@pytest.mark.parametrize("name", ["c", "0", "c*"])
def test_a_scene_that_is_not_there_is_refused_with_those_that_are(project, name):
    error = refusal_of("small", "--scenes", name)
    assert repr(name) in error["what"] and "b1" in error["fix"]
    assert not (project / "reports").exists()


def test_what_is_no_checkpoint_is_refused(project):
    assert "outputs/models" in refusal_of("nothing/at/all")["fix"]
    assert "outputs/models/small" in refusal_of("outputs/models")["fix"]
    assert "no checkpoint" in refusal_of("outputs/dataset")["what"]


def test_a_project_without_its_dataset_says_what_makes_one(project):
    shutil.rmtree(project / "outputs" / "dataset")
    assert "lyra-data package" in refusal_of("small")["fix"]


def test_files_of_others_in_the_output_stay(project):
    output = project / "reports" / "visualised" / "small"
    output.mkdir(parents=True)
    (output / "notes.txt").write_text("mine")
    assert "not empty" in refusal_of("small")["what"]
    assert names_in(output) == ["notes.txt"]


def test_released_weights_and_a_record_without_held_out_frames_are_refused(project):
    dataset = SceneDataset(project / "outputs" / "dataset")
    models = project / "outputs" / "models"
    save_phase(dataset, models / "released", phase=None)
    assert "lyra-data reconstruct" in refusal_of("released")["fix"]
    save_phase(dataset, models / "old", held_out_frames=None)
    assert "held_out_frames is None" in refusal_of("old")["what"]
    save_phase(dataset, models / "older", rendering=None)
    assert refusal_of("older")["kind"] == "CorruptDataError"


def test_a_dataset_of_another_codec_or_of_smaller_pictures_is_refused(project):
    dataset = SceneDataset(project / "outputs" / "dataset")
    save_phase(dataset, project / "outputs" / "models" / "other", codec_fingerprint="dct-0")
    assert "dct-0" in refusal_of("other")["what"]
    larger = make_params().phases["small"].model_copy(update={"height": 32})
    phase = larger.model_dump(mode="json")
    save_phase(dataset, project / "outputs" / "models" / "larger", phase=phase)
    error = refusal_of("larger")
    assert "32x32" in error["what"] and "--dataset" in error["fix"]


def test_the_checkpoint_may_be_cut_and_is_named(project):
    weights = project / "outputs" / "models" / "small" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert refusal_of("small")["kind"] == "CorruptDataError"
