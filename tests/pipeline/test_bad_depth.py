"""Pictures whose depth nobody can tell end with exit code 2 and one clear message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from lyra_data.models.depth.transformers import TransformersDepth
from stages.cli import app
from tests.pipeline.project import Project
from tests.tiny_models import write_depth_pro

TRANSFORMERS: dict[str, Any] = {
    "name": "transformers",
    "model": "depth_pro",
    "revision": None,
    "field_of_view_degrees": None,
    "far_over_near": 20.0,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel

    root = tmp_path_factory.mktemp("models")
    write_depth_pro(root / "depth_pro")
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertModel(BertConfig(vocab_size=8, intermediate_size=8, **tiny)).save_pretrained(root / "bert")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose one scene is a picture alone."""
    project = Project(tmp_path / "project")
    for name in ("depth.npy", "intrinsics.json"):
        (project.root / "inputs" / "wall" / name).unlink()
    return project


def annotate(project: Project, depth: dict[str, Any]) -> Any:
    project.change("annotate", "depth", to=depth)
    command = ["annotate", "--params", str(project.params_file), "--json"]
    return CliRunner().invoke(app, command)


def refused(project: Project, depth: dict[str, Any]) -> dict[str, str]:
    result = annotate(project, depth)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 2
    assert not (project.root / "outputs" / "clips").exists()
    return json.loads(result.stdout)["error"]


def at(models: Path, **changes: Any) -> dict[str, Any]:
    values = {**TRANSFORMERS, **changes}
    return values | {"model": str(models / values["model"])}


def test_a_picture_alone_is_annotated_where_an_estimator_is_chosen(
    project: Project, models: Path
) -> None:
    result = annotate(project, at(models))
    assert result.exit_code == 0, result.output
    clip = json.loads((project.root / "outputs/clips/wall/clip.json").read_text())
    assert "'depth_estimator': 'transformers-" in str(clip)


def test_depth_is_estimated_once_for_all_runs(
    project: Project, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(annotate(project, at(models)).stdout)["made"] == 1
    with monkeypatch.context() as patch:
        patch.setattr(TransformersDepth, "estimate", lambda *_: pytest.fail("estimated again"))
        assert json.loads(annotate(project, at(models)).stdout)["reused"] == 1
    other = annotate(project, at(models, field_of_view_degrees=70.0))
    assert json.loads(other.stdout)["made"] == 1


def test_a_model_that_is_not_there_is_not_missed_where_depth_comes_with_the_picture(
    tmp_path: Path,
) -> None:
    """A process of its own, as below."""
    project = Project(tmp_path / "project")
    project.change("annotate", "depth", to={**TRANSFORMERS, "model": "nobody/DepthPro"})
    assert project.cli("annotate")["made"] == 1


def test_no_depth_and_none_estimated_is_told_with_the_folder(project: Project) -> None:
    error = refused(project, {"name": "given"})
    assert f"{project.root / 'inputs/wall'}: there is no depth" in error["what"]
    assert "moge" in error["what"]


def test_an_unknown_estimator_is_told_with_the_known_ones(project: Project) -> None:
    error = refused(project, {"name": "midas"})
    assert "unknown depth estimator 'midas'" in error["what"]
    assert "known: given, moge, transformers" in error["fix"]


def test_a_model_that_is_not_there_is_told_with_the_command(project: Project) -> None:
    """A process of its own: the type checks of this one ask every estimator for its fingerprint."""
    project.change("annotate", "depth", to={**TRANSFORMERS, "model": "nobody/DepthPro"})
    error = project.cli("annotate", expect=2)["error"]
    assert "model 'nobody/DepthPro' is not on this machine" in error["what"]
    assert "`hf download nobody/DepthPro`" in error["fix"]


def test_a_text_model_is_told_as_no_depth_model(project: Project, models: Path) -> None:
    error = refused(project, at(models, model="bert"))
    assert str(models / "bert") in error["what"] and "it is a 'bert'" in error["what"]


def test_a_picture_too_small_is_told_with_its_size(project: Project, models: Path) -> None:
    Image.new("RGB", (24, 16)).save(project.root / "inputs" / "wall" / "image.png")
    error = refused(project, at(models))
    assert "a picture of 24x16 pixels is too small" in error["what"]
    assert "at least 32x32" in error["what"]


def test_an_empty_prompt_in_params_is_told(project: Project) -> None:
    scene = {"name": "prompt", "scene_id": "cat", "text": " ", "negative_text": "", "seed": 1}
    project.change("annotate", "sources", to=[scene])
    error = refused(project, {"name": "given"})
    assert "annotate.sources.text = ' ': is empty" in error["what"]
