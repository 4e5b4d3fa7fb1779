"""publish as people type it: to the test Hub, with its plan, receipt and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from lyra_model.phases.checkpoints import load_checkpoint, save_checkpoint
from stages.cli import app
from tests.dataset_scenes import exact_scene
from tests.goldens import REPOSITORY
from tests.hub.server import TOKEN, HubState, client_pointed_at
from tests.unit.test_model_card import phase
from tests.unit.test_scene_card import scene_of

NAME = "lab/scenes"
LICENCE = "CC-BY-4.0"


@pytest.fixture
def project(tmp_path) -> Path:
    """A project whose dataset is there, with the demo's params."""
    root = tmp_path / "project"
    write_dataset(
        exact_scene("a"),
        root / "outputs" / "dataset",
        splits={"a": "train"},
        scenes_per_shard=1,
        provenance={"engine_commit": "abc"},
    )
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["publish"]["model_licences"] = {"exact": "Apache-2.0"}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return root


@pytest.fixture
def hub_client(hub: str, tmp_path: Path) -> Iterator[str]:
    with client_pointed_at(hub, tmp_path / "home", token=TOKEN):
        yield hub


@pytest.fixture
def publish(project, hub_client) -> Any:
    def run(*arguments: str) -> Any:
        options = ["--params", str(project / "params.yaml"), *arguments]
        return CliRunner().invoke(app, ["publish", *options])

    return run


def dataset(*more: str) -> tuple[str, ...]:
    return ("dataset", "--repository", NAME, "--licence", LICENCE, *more)


def test_a_dataset_is_published_whole_and_what_is_pulled_is_valid(
    publish, project, hub_state: HubState, tmp_path
):
    answer = publish(*dataset("--yes"))
    assert answer.exit_code == 0, answer.output
    held = hub_state.files(f"datasets/{NAME}", "v0.1.0")
    for path, data in held.items():
        (tmp_path / "pulled" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pulled" / path).write_bytes(data)
    pulled = SceneDataset(tmp_path / "pulled", verify="full")
    ours = SceneDataset(project / "outputs" / "dataset")
    assert pulled.manifest.dataset_hash == ours.manifest.dataset_hash
    findings = check_dataset(tmp_path / "pulled", sample=None, progress=silent).findings
    assert [finding.rule for finding in findings] == [
        finding.rule for finding in check_dataset(ours.uri, sample=None, progress=silent).findings
    ]
    assert b"license: cc-by-4.0" in held["README.md"]
    assert hub_state.repositories[f"datasets/{NAME}"].private


def test_the_receipt_names_the_commit_and_every_file_and_holds_no_token(
    publish, project, hub_state
):
    assert publish(*dataset("--yes")).exit_code == 0
    text = (project / "publish" / "dataset.json").read_text()
    receipt = json.loads(text)
    assert receipt["commit"] == hub_state.repositories[f"datasets/{NAME}"].head
    assert {file["path"] for file in receipt["files"]} == set(
        hub_state.files(f"datasets/{NAME}", "v0.1.0")
    ) - {".gitattributes"}
    assert receipt["facts"]["project_commit"] == "unknown"
    assert TOKEN not in text
    assert publish(*dataset("--yes")).exit_code == 0
    assert (project / "publish" / "dataset.json").read_text() == text


def test_a_dry_run_shows_files_licence_and_card_and_sends_nothing(publish, project, hub_state):
    answer = publish(*dataset("--dry-run"))
    assert answer.exit_code == 0, answer.output
    assert "made anew, private" in answer.output
    assert f"licence  {LICENCE}" in answer.output
    assert "data/preview/train-00000-of-00001.parquet" in answer.output
    assert "--- README.md" in answer.output and "# scenes" in answer.output
    assert "1 commit" in answer.output
    assert answer.output.index("# scenes") < answer.output.index("total   "), "sums end on screen"
    assert f"datasets/{NAME}" not in hub_state.repositories
    assert not (project / "publish").exists()


def test_nobody_to_confirm_means_nothing_is_sent(publish, hub_state):
    answer = publish(*dataset())
    assert answer.exit_code == 2 and "--yes" in answer.output
    assert f"datasets/{NAME}" not in hub_state.repositories


def test_other_content_under_a_published_version_is_refused(publish, project, hub_state):
    assert publish(*dataset("--yes")).exit_code == 0
    head = hub_state.repositories[f"datasets/{NAME}"].head
    answer = publish("dataset", "--repository", NAME, "--licence", "CC-BY-SA-4.0", "--yes")
    assert answer.exit_code == 2 and "a published version never changes" in answer.output
    assert hub_state.repositories[f"datasets/{NAME}"].head == head


def test_what_is_missing_is_asked_for(publish):
    answer = publish("dataset", "--licence", LICENCE)
    assert answer.exit_code == 2 and "publish.dataset.repository" in answer.output
    answer = publish("dataset")
    assert answer.exit_code == 2, "both are asked for at once"
    assert "publish.dataset.repository, publish.dataset.licence" in answer.output
    answer = publish("dataset", "--repository", NAME)
    assert answer.exit_code == 2 and "publish.dataset.licence" in answer.output
    assert "CC-BY-4.0 goes with everything" in answer.output
    answer = publish("model", "--repository", NAME, "--licence", LICENCE)
    assert answer.exit_code == 2 and "run `lyra-data train` first" in answer.output
    answer = publish("scene", "--repository", NAME, "--licence", LICENCE)
    assert answer.exit_code == 2 and "run `lyra-data reconstruct` first" in answer.output


def test_a_licence_that_does_not_go_with_the_sources_is_refused_by_rows(publish, project):
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("exact: Apache-2.0", "exact: research-only"))
    answer = publish(*dataset("--yes"))
    assert answer.exit_code == 2
    assert "exact" in answer.output and "research" in answer.output and "a/0" in answer.output


def test_a_source_that_params_name_has_to_be_a_scene_of_the_dataset(publish, project):
    params = project / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("source_licences: {}", "source_licences: {holiday: CC-BY-4.0}"))
    answer = publish(*dataset("--yes"))
    assert answer.exit_code == 2 and "'holiday', which fits no scene" in answer.output


def test_what_grants_nothing_stays_private(publish):
    options = ("dataset", "--repository", NAME, "--licence", "all-rights-reserved", "--yes")
    answer = publish(*options, "--public")
    assert answer.exit_code == 2 and "--private" in answer.output
    assert publish(*options).exit_code == 0


def test_an_altered_file_is_not_published(publish, project, hub_state):
    shard = next((project / "outputs" / "dataset" / "data" / "rgb").glob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    answer = publish(*dataset("--yes"))
    assert answer.exit_code == 2 and shard.name in answer.output
    assert f"datasets/{NAME}" not in hub_state.repositories


def test_a_folder_is_published_without_a_project(project, hub_client, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    folder = project / "outputs" / "dataset"
    arguments = ["publish", "dataset", str(folder), "--repository", NAME, "--yes"]
    answer = CliRunner().invoke(app, [*arguments, "--licence", "all-rights-reserved", "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["receipt"] == str(project / "outputs/dataset.published.json")
    assert (project / "outputs" / "dataset.published.json").exists()


def test_the_folder_that_one_stands_in_is_published_too(
    project, hub_client, hub_state, monkeypatch
):
    monkeypatch.chdir(project / "outputs" / "dataset")
    arguments = ["publish", "dataset", ".", "--repository", NAME, "--yes"]
    answer = CliRunner().invoke(app, [*arguments, "--licence", "all-rights-reserved"])
    assert answer.exit_code == 0, answer.output
    assert (project / "outputs" / "dataset.published.json").exists()
    assert ".work" not in {path.split("/")[0] for path in hub_state.files(f"datasets/{NAME}")}


def test_a_model_is_published_with_what_it_was_trained_on(publish, project, hub_state, tmp_path):
    trained = phase("demo", None, project / "outputs" / "dataset")
    save_checkpoint(trained, project / "outputs" / "models" / "demo")
    (project / "outputs" / "models" / "demo" / "stray.bin").write_bytes(b"not of the checkpoint")
    assert publish(*dataset("--yes")).exit_code == 0
    options = ("--repository", "lab/decoder", "--licence", LICENCE, "--yes")
    answer = publish("model", *options)
    assert answer.exit_code == 0, answer.output
    held = hub_state.files("lab/decoder", "v0.1.0")
    for name in ("config.json", "model.safetensors", "history.csv"):
        (tmp_path / "pulled").mkdir(exist_ok=True)
        (tmp_path / "pulled" / name).write_bytes(held[name])
    assert load_checkpoint(tmp_path / "pulled").config["phase_name"] == "demo"
    assert "stray.bin" not in held
    card = held["README.md"].decode()
    assert "card/scene.png" not in held, "the project's scene was fitted, this decoder made none"
    assert f"- {NAME}" in card.partition("\n---\n")[0], "the data that it was trained on"
    assert hub_state.repositories[f"datasets/{NAME}"].head in card


def test_a_model_s_card_shows_a_scene_that_these_weights_made(publish, project, hub_state):
    models = project / "outputs" / "models" / "demo"
    save_checkpoint(phase("demo", None, project / "outputs" / "dataset"), models)
    weights = load_checkpoint(models).config["weights_sha256"]
    (project / "outputs" / "scenes").mkdir(parents=True, exist_ok=True)
    for name, sha256 in (("another", "0" * 64), ("yard", weights)):
        scene_of(project / "outputs" / "scenes" / name, method="decoder", decoder_sha256=sha256)
    assert publish(*dataset("--yes")).exit_code == 0
    options = ("--repository", "lab/decoder", "--licence", LICENCE, "--yes")
    assert publish("model", *options).exit_code == 0
    held = hub_state.files("lab/decoder", "v0.1.0")
    assert held["card/scene.png"].startswith(b"\x89PNG")
    assert "(card/scene.png)" in held["README.md"].decode()


def test_a_model_whose_data_are_elsewhere_is_published_in_private_alone(
    publish, project, tmp_path, hub_state
):
    folder = tmp_path / "elsewhere"
    trained = phase("demo", None, project / "outputs" / "dataset")
    trained.config["dataset_hash"] = "0" * 64
    save_checkpoint(trained, folder)
    options = ("model", str(folder), "--repository", "lab/decoder", "--yes")
    answer = publish(*options, "--licence", LICENCE)
    assert answer.exit_code == 2 and "their licences are unknown" in answer.output
    answer = publish(*options, "--licence", "all-rights-reserved")
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "elsewhere.published.json").exists()


def test_a_scene_becomes_a_space_whose_page_is_the_scene(publish, project, hub_state):
    (project / "outputs" / "scenes").mkdir()
    settings = {"reconstruct": {"weights": "/elsewhere/models/demo"}}
    folder = scene_of(project / "outputs" / "scenes" / "yard", settings=settings)
    (folder / ".env").write_text("HF_TOKEN=...")
    options = ("--repository", "lab/yard", "--licence", LICENCE, "--yes")
    answer = publish("scene", *options)
    assert answer.exit_code == 0, answer.output
    held = hub_state.files("spaces/lab/yard", "v0.1.0")
    assert held["index.html"] == (folder / "scene.html").read_bytes()
    assert "sdk: static" in held["README.md"].decode()
    assert held["scene.ply"] == b"ply"
    assert b"/elsewhere" not in held["report.json"] and b'"demo"' in held["report.json"]
    assert ".env" not in held and b".env" not in held["README.md"]
    (folder / "notes.txt").symlink_to(project / "params.yaml")
    answer = publish("scene", *options)
    assert answer.exit_code == 2 and "link that leads out" in answer.output
    scene_of(project / "outputs" / "scenes" / "garden")
    answer = publish("scene", *options)
    assert answer.exit_code == 2 and "publish.scene.scene_id" in answer.output
