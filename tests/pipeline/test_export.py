"""lyra-data export: what it writes, what it refuses, and that sources read it again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from lyra_data.clips.store import write_clip
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.sources import SOURCES
from stages.verbs.export import export
from tests.dataset_scenes import exact_scene
from tests.ray_cast import MOVING, clip_of, moving_cameras

app = typer.Typer()
app.command("export")(export)
app.command("other")(lambda: None)

CLIP = replace(clip_of(MOVING, moving_cameras(5), "video"), depth_confidence=None)


def run(*arguments: object):
    return CliRunner().invoke(app, ["export", *map(str, arguments)], env={"COLUMNS": "80"})


def told(ran: Any) -> dict[str, Any]:
    return json.loads(ran.stdout)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_clip(CLIP, tmp_path / "clips" / "video")
    return tmp_path / "clips" / "video"


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("nerfstudio", {"fps": 24.0}),
        ("colmap", {"fps": 24.0}),
        ("vipe", {"clip": None, "loading": "native"}),
    ],
)
def test_what_is_exported_is_read_by_the_source_of_that_name(
    stored: Path, tmp_path: Path, kind: str, params: dict[str, Any]
) -> None:
    ran = run(stored, tmp_path / "out" / "mine", "--format", kind, "--json")
    assert ran.exit_code == 0, ran.output
    facts = told(ran)
    assert (facts["stage"], facts["format"], facts["num_frames"]) == ("export", kind, 5)
    assert facts["num_bytes"] > 0 and "prompt" in facts["left_out"]
    values = {"name": kind, "folder": "mine", "scene_id": "again", **params}
    material = SOURCES.create(values, where="test").read(tmp_path / "out")
    assert torch.equal(material.frames, CLIP.frames)
    assert material.cameras is not None and material.depth is not None
    torch.testing.assert_close(
        material.cameras.camera_to_world, CLIP.cameras.camera_to_world, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(material.cameras.intrinsics, CLIP.cameras.intrinsics)
    torch.testing.assert_close(material.depth, CLIP.depth, atol=0, rtol=1e-3)
    assert torch.equal(material.depth_valid, CLIP.depth_valid)  # type: ignore[arg-type]
    assert torch.equal(material.dynamic_mask, CLIP.dynamic_mask)  # type: ignore[arg-type]


def test_people_are_told_what_was_written_and_what_was_left_out(
    stored: Path, tmp_path: Path
) -> None:
    ran = run(stored, tmp_path / "out", "--format", "nerfstudio")
    assert ran.exit_code == 0
    words = " ".join(ran.stdout.split())
    assert "5 frames of video as nerfstudio" in words
    assert "cannot hold: prompt, source, rate" in words


@pytest.mark.parametrize("kind", ["nerfstudio", "colmap", "vipe"])
def test_nothing_of_the_users_is_replaced(stored: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    ran = run(stored, tmp_path / "out", "--format", kind, "--json")
    assert ran.exit_code == 2
    assert "not empty" in told(ran)["error"]["what"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_folder_that_holds_no_clip_is_refused(stored: Path, tmp_path: Path) -> None:
    for folder, reason in (
        (stored.parent, "holds no clip"),
        (stored / "nowhere", "no such folder"),
    ):
        ran = run(folder, tmp_path / "out", "--format", "colmap", "--json")
        assert ran.exit_code == 2
        error = told(ran)["error"]
        assert error["kind"] == "InputError" and reason in error["what"]
        assert error["where"] == str(folder)
    assert not (tmp_path / "out").exists()


def test_an_altered_clip_is_refused_and_leaves_nothing(stored: Path, tmp_path: Path) -> None:
    path = stored / "depth.npy"
    path.write_bytes(path.read_bytes()[:-4])
    ran = run(stored, tmp_path / "out", "--format", "nerfstudio", "--json")
    assert ran.exit_code == 2
    assert told(ran)["error"]["kind"] == "CorruptDataError"
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_an_export_into_its_own_clip_is_refused(stored: Path) -> None:
    ran = run(stored, stored / "export", "--format", "colmap", "--json")
    assert ran.exit_code == 2
    assert "inside what it is made of" in told(ran)["error"]["what"]


@pytest.mark.parametrize("arguments", [[], ["--format", "blender"]])
def test_the_format_must_be_one_that_is_written(
    stored: Path, tmp_path: Path, arguments: list[str]
) -> None:
    assert run(stored, tmp_path / "out", *arguments).exit_code == 2
    assert not (tmp_path / "out").exists()


# a view of a dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Scene a has three views: 0 goes right, 1 goes up, 2 goes right in reversed motion."""
    folder = tmp_path / "dataset"
    write_dataset(exact_scene("a"), folder, splits=None, scenes_per_shard=2, provenance={})
    return folder


@pytest.mark.parametrize("name", ["1", "up"])
def test_a_view_of_a_dataset_is_exported_as_a_clip_of_it(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    ran = run(f"{dataset}#a:{name}", tmp_path / "out", "--format", "nerfstudio", "--json")
    assert ran.exit_code == 0, ran.output
    assert told(ran)["scene_id"] == "a_01_up"
    values = {"name": "nerfstudio", "folder": "out", "scene_id": "again", "fps": 24.0}
    material = SOURCES.create(values, where="test").read(tmp_path)
    view = exact_scene("a")[1]
    assert torch.equal(material.frames, view.frames)
    assert material.cameras is not None and material.depth is not None
    torch.testing.assert_close(
        material.cameras.camera_to_world, view.cameras.camera_to_world, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(material.depth, view.depth, atol=0, rtol=1e-3)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("dataset", "no view is named"),
        ("dataset#a", "no view is named"),
        ("dataset#a:7", "view '7'"),
        ("dataset#a:right", "2 of its views fit"),
        ("dataset#b:0", "no scene 'b'"),
        ("nowhere#a:0", ""),
    ],
)
def test_a_view_that_is_not_there_is_refused_with_those_that_are(
    dataset: Path, tmp_path: Path, address: str, reason: str
) -> None:
    ran = run(tmp_path / address, tmp_path / "out", "--format", "colmap", "--json")
    assert ran.exit_code == 2, ran.output
    error = told(ran)["error"]
    assert reason in error["what"] and error["fix"]
    assert not (tmp_path / "out").exists()


def test_an_export_into_its_own_dataset_is_refused(dataset: Path) -> None:
    ran = run(f"{dataset}#a:up", dataset / "export", "--format", "colmap", "--json")
    assert ran.exit_code == 2 and "inside what it is made of" in told(ran)["error"]["what"]
