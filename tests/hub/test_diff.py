"""diff reads published versions from the Hub: with a folder, with each other, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.dataset.writing.writer import write_dataset
from stages.cli import app
from tests.dataset_scenes import exact_scene
from tests.hub.pulls import KEY, SCENES, files_in
from tests.hub.server import TOKEN, HubState, client_pointed_at

URI = f"hf://datasets/{SCENES}"


def written(folder: Path, names: str) -> Path:
    views = [view for name in names for view in exact_scene(name)]
    splits = dict.fromkeys(names, "train")
    write_dataset(views, folder, splits=splits, scenes_per_shard=1, provenance={})
    return folder


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("versions")
    return written(folder / "former", "ab"), written(folder / "later", "bc")


@pytest.fixture
def diff(hub_state: HubState, hub: str, versions, tmp_path: Path) -> Callable[..., Any]:
    hub_state.large_from = 1000
    repository = hub_state.add(SCENES, files_in(versions[0]), kind="dataset")
    repository.history.tags["v1"] = repository.head
    hub_state.commit(repository, files_in(versions[1]))
    repository.history.tags["v2"] = repository.head
    hub_state.add("lab/rows", {"rows.csv": b"a,b\n1,2\n"}, kind="dataset")
    hub_state.records.clear()

    def run(*arguments: str, token: str | None = TOKEN) -> Any:
        with client_pointed_at(hub, tmp_path / "home", token=token):
            return CliRunner().invoke(app, ["diff", *arguments], env={"COLUMNS": "80"})

    return run


def test_a_folder_equals_the_tag_that_it_was_published_as(diff, versions, hub_state) -> None:
    done = diff(str(versions[0]), f"{URI}@v1", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["equal"] is True
    media = ("data/rgb", "data/depth", "data/latent", "data/mask")
    sent = hub_state.records.bytes_served
    assert not [name for key, name in sent if key == KEY and name.startswith(media)]


def test_two_tags_differ_by_their_scenes(diff, tmp_path) -> None:
    done = diff(f"{URI}@v1", f"{URI}@v2", "--json", "--html", str(tmp_path / "page.html"))
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["added"], facts["removed"], facts["changed"]) == (["c"], ["a"], [])
    assert f"{URI}@v1" in (tmp_path / "page.html").read_text()
    assert TOKEN not in done.output + (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("address", "token", "words"),
    [
        (f"{URI}@v9", TOKEN, "v9"),
        ("hf://datasets/lab/nothing", TOKEN, "no such repository"),
        (URI, "hf_unknown", "token"),
        ("hf://datasets/lab/rows", TOKEN, "manifest"),
        ("hf://lab", TOKEN, "hf://"),
    ],
)
def test_what_cannot_be_compared_is_refused(diff, versions, address, token, words) -> None:
    done = diff(str(versions[0]), address, token=token)
    assert done.exit_code == 2, done.output
    assert words in done.output and "fix" in done.output
    assert token not in done.output
