"""Bare pictures named on the command line: annotated, or made into a project, with a depth model
at hand, with depth of the user's own, and with neither."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from lyra_data.clips.store import read_clip
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.models.depth.at_hand import depth_at_hand
from lyra_data.models.weights.manifest import Manifest, hash_files
from lyra_data.sources import SOURCES
from stages.annotate import run_annotate
from stages.cli import app
from stages.verbs.annotate_inputs import run_annotate_inputs
from stages.verbs.project import init_project
from stages.verbs.project_choice import made_project
from stages.verbs.project_record import read_record
from tests.pipeline.project import Project
from tests.tiny_models import write_depth_anything

HEIGHT, WIDTH = 64, 96
REPOSITORY = "depth-anything/Depth-Anything-V2-Small-hf"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights, which holds none; the working folder is tmp_path."""
    monkeypatch.setenv("LYRA_WEIGHTS", str(tmp_path / "weights_here"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "weights_here"


@pytest.fixture
def model(weights: Path) -> str:
    """A tiny depth model where `weights pull depth-anything` puts it; its identity."""
    folder = write_depth_anything(weights / "downloads" / "depth-anything", kind="relative")
    facts = {"repository": REPOSITORY, "revision": "feed"}
    Manifest("download", hash_files(folder), facts=facts).write(folder)
    return f"{REPOSITORY}@feed"


def photo(path: Path, seed: int = 0, *, height: int = HEIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def with_depth(path: Path) -> Path:
    """A photo with depth beside it."""
    depth = path.with_suffix(".depth.npy")
    photo(path)
    np.save(depth, np.linspace(1, 3, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH))
    return path


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in arguments])


def sources_of(folder: Path) -> list[dict[str, Any]]:
    return yaml.safe_load((folder / "params.yaml").read_text())["annotate"]["sources"]


def test_pictures_are_annotated_with_the_depth_model_at_hand(tmp_path: Path, model: str) -> None:
    project = Project(tmp_path / "project")
    photo(tmp_path / "album" / "beach.jpg", 1)
    photo(tmp_path / "album" / "dog.png", 2, height=80)
    inputs = [photo(tmp_path / "photo.png"), photo(tmp_path / "more.jpg"), tmp_path / "album"]
    done = run_annotate_inputs(project.params_file, inputs)
    names = [scene["scene_id"] for scene in done.facts["scenes"]]
    assert names == ["photo", "more", "beach", "dog"]
    assert f"depth of pictures by {REPOSITORY}" in done.headline
    for folder in done.facts["clips"]:
        source = read_clip(Path(folder)).source
        assert source["depth"] == "estimated" and source["depth_estimator"].endswith(model)
        assert source["intrinsics_from"] == "assumed: 60 degrees horizontally"
    # The lines that are printed for params.yaml find the scenes again, given the same estimator.
    project.change("annotate", "sources", to=done.facts["sources"])
    depth = {"name": "transformers", "model": REPOSITORY, "revision": None}
    depth |= {"field_of_view_degrees": None, "far_over_near": 20.0}
    project.change("annotate", "depth", to=depth)
    again = run_annotate(project.params_file).facts
    assert (again["made"], again["reused"]) == (0, 4)


def test_a_picture_without_depth_or_model_names_the_one_command_and_what_else_would_do(
    tmp_path: Path, weights: Path
) -> None:
    project = Project(tmp_path / "project")
    bare = photo(tmp_path / "photo.png")
    results = [
        invoke("annotate", bare, "--params", project.params_file, "--json"),
        invoke("run", bare, "--json"),
    ]
    for result in results:
        assert result.exit_code == 2
        error = json.loads(result.stdout)["error"]
        assert error["where"] == str(bare)
        assert "`lyra-data weights pull depth-anything` once (99 MB, Apache-2.0)" in error["fix"]
        assert "NAME.depth.npy" in error["fix"]
    assert not (tmp_path / "runs").exists() and not (project.root / "outputs").exists()


def test_depth_beside_a_picture_needs_no_model(tmp_path: Path, weights: Path) -> None:
    project = Project(tmp_path / "project")
    done = run_annotate_inputs(project.params_file, [with_depth(tmp_path / "photo.png")])
    clip = read_clip(Path(done.facts["clips"][0]))
    assert clip.depth_scale == "metric" and "depth of pictures" not in done.headline
    assert float(clip.depth[clip.depth_valid].max()) <= 3.0


def test_pictures_are_annotated_where_there_is_no_project(tmp_path: Path, weights: Path) -> None:
    with_depth(tmp_path / "photo.png")
    ran = invoke("annotate", "photo.png", "--json")
    assert ran.exit_code == 0, ran.output
    assert read_clip(tmp_path / "outputs" / "annotated" / "photo").depth_scale == "metric"
    assert invoke("annotate", "photo.png", "--params", "other.yaml").exit_code == 2


def test_moge_counts_as_a_model_at_hand_where_its_package_and_weights_are(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert depth_at_hand(Path()) is None
    folder = weights / "downloads" / "moge"
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"weights")
    facts = {"repository": "Ruicheng/moge-vitl", "revision": "feed"}
    Manifest("download", hash_files(folder), facts=facts).write(folder)
    assert depth_at_hand(Path()) is None
    monkeypatch.setitem(sys.modules, "moge", types.ModuleType("moge"))
    chosen = depth_at_hand(Path())
    assert chosen is not None and chosen["name"] == "moge"


def test_a_project_of_pictures_holds_what_lies_beside_them(tmp_path: Path, weights: Path) -> None:
    mine = with_depth(tmp_path / "mine" / "photo.png")
    init_project(tmp_path / "project", [mine])
    folder = tmp_path / "project"
    expected = {"name": "picture", "path": "inputs/photo.png", "scene_id": "photo"}
    assert sources_of(folder) == [expected]
    assert read_record(folder).preset == "photo"
    material = SOURCES.create(expected, where="test").read(folder)
    assert material.depth is not None
    assert run_annotate(folder / "params.yaml").facts["made"] == 1
    # It is the same project as long as the depth is the same.
    assert made_project(folder, [mine], None) == folder
    mine.with_suffix(".depth.npy").unlink()  # and not written over: the project's is a link of it
    np.save(mine.with_suffix(".depth.npy"), np.ones((HEIGHT, WIDTH), np.float32))
    with pytest.raises(InputError, match="made of another input"):
        made_project(folder, [mine], None)


def test_a_folder_of_pictures_stays_a_folder_in_the_project(tmp_path: Path, model: str) -> None:
    photo(tmp_path / "album" / "beach.png", 1)
    photo(tmp_path / "album" / "dog.png", 2, height=80)
    folder = tmp_path / "project"
    init_project(folder, [tmp_path / "album"])
    paths = [source["path"] for source in sources_of(folder)]
    assert paths == ["inputs/album/beach.png", "inputs/album/dog.png"]
    depth = yaml.safe_load((folder / "params.yaml").read_text())["annotate"]["depth"]
    assert (depth["name"], depth["model"]) == ("transformers", REPOSITORY)
    assert made_project(folder, [tmp_path / "album"], None) == folder
    assert run_annotate(folder / "params.yaml").facts["made"] == 2


def test_a_project_can_be_made_before_the_model_is_there(tmp_path: Path, weights: Path) -> None:
    done = init_project(tmp_path / "project", [photo(tmp_path / "photo.png")])
    assert "weights pull depth-anything" in str(done.details[0])
    with pytest.raises(ParamsError) as caught:
        run_annotate(tmp_path / "project" / "params.yaml")
    assert "weights pull depth-anything" in str(caught.value.fix)


@pytest.mark.parametrize("preset", ["cpu-small", "gen3c"])
def test_another_preset_keeps_the_depth_model_that_it_names(
    tmp_path: Path, model: str, preset: str
) -> None:
    init_project(tmp_path / "project", [photo(tmp_path / "photo.png")], preset=preset)
    depth = yaml.safe_load((tmp_path / "project" / "params.yaml").read_text())["annotate"]["depth"]
    assert depth["name"] == {"cpu-small": "transformers", "gen3c": "moge"}[preset]
