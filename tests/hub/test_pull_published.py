"""What was published is pulled: whole, in parts, by tag; a scene of several row groups too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.editing.filtering import ViewFilter, filter_dataset
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing import row_groups
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from lyra_data.sharing.publishing import Publication, file_of_bytes, files_of_folder
from stages.cli import app
from tests.dataset_scenes import exact_scene
from tests.hub.publications import CARD, Publisher, publisher
from tests.hub.pulls import SCENES, Pull
from tests.hub.server import HubState


@pytest.fixture
def run(hub: str, hub_state: HubState, tmp_path: Path) -> Iterator[Publisher]:
    with publisher(hub_state, hub, tmp_path) as running:
        yield running


@pytest.mark.parametrize("split", [False, True])
def test_a_published_dataset_is_pulled_whole_and_in_parts(
    run, hub_state: HubState, hub: str, tmp_path: Path, monkeypatch, split: bool
) -> None:
    if split:  # a row group a view
        monkeypatch.setattr(row_groups, "ROW_GROUP_BYTES", 1)
    made = tmp_path / "made"
    views = [view for name in "ab" for view in exact_scene(name)]
    manifest = write_dataset(views, made, splits=None, scenes_per_shard=2, provenance={})
    files = [file for file in files_of_folder(made) if file.path != "README.md"]
    run(
        Publication(
            repository=SCENES,
            repository_type="dataset",
            tag="v1.0.0",
            files=(file_of_bytes("README.md", CARD), *files),
            licence="CC-BY-4.0",
            message="Scenes",
        )
    )
    pull = Pull(hub_state, hub, tmp_path)
    code, text = pull.into("whole", f"{SCENES}@v1.0.0")
    assert code == 0, text
    assert SceneDataset(tmp_path / "whole", verify="full").manifest == manifest
    code, text = pull.into("part", f"{SCENES}@v1.0.0", "--trajectories", "right")
    assert code == 0, text
    done = filter_dataset(
        OpenedDataset(made),
        tmp_path / "filtered",
        ViewFilter(trajectories=["right"]),
        scenes_per_shard=2,
        progress=silent,
    )
    assert SceneDataset(tmp_path / "part").manifest.dataset_hash == done.manifest.dataset_hash
    for name in ("whole", "part"):
        assert not check_dataset(tmp_path / name, sample=None, progress=silent).findings
    pair = [str(tmp_path / name) for name in ("whole", "part")]
    told = json.loads(CliRunner().invoke(app, ["diff", *pair, "--json"]).stdout)
    assert not told["equal"]
