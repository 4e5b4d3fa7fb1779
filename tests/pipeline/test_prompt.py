"""`generate --prompt`: one scene from words, beside the pipeline's own outputs, and how to keep it.

Tiny FLUX and Depth Pro with random weights on a tiny project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lyra_data.clips.store import read_clip
from lyra_data.engine.errors import ExecutorError, InputError, ParamsError
from lyra_data.generation.jobs import Job
from lyra_data.generation.view_making import ViewMaker
from lyra_data.models.text_to_image import TextToImage
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from stages.annotate import run_annotate
from stages.cli import app
from stages.summary import Summary
from stages.verbs.prompt import run_prompt
from tests.pipeline.project import HEIGHT, WIDTH, Project
from tests.tiny_models import write_depth_pro, write_flux

TEXT = "a cat / a dog: 100 %"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("prompts") / "project")
    write_flux(project.root / "flux")
    write_depth_pro(project.root / "depth_pro")
    size = {"height": HEIGHT, "width": WIDTH}
    project.change("annotate", "text_to_image", to=settings() | size)
    project.change("annotate", "depth", to=depth())
    project.change("generate", "quality", to=dict.fromkeys(quality_limits(project)))
    return project


def settings() -> dict[str, Any]:
    return {
        "model": "flux",
        "revision": None,
        "precision": "float32",
        "num_steps": 2,
        "guidance": 3.5,
        "true_guidance": 1.0,
    }


def depth() -> dict[str, Any]:
    return {
        "name": "transformers",
        "model": "depth_pro",
        "revision": None,
        "field_of_view_degrees": None,
        "far_over_near": 20.0,
    }


def quality_limits(project: Project) -> list[str]:
    return list(yaml.safe_load(project.params_file.read_text())["generate"]["quality"])


@pytest.fixture(scope="module")
def made(project: Project) -> Summary:
    return run_prompt(project.params_file, TEXT, device="cpu")


def folder_of(project: Project, made: Summary) -> Path:
    return project.root / "outputs" / "prompts" / made.facts["scene_id"]


def test_every_view_of_the_prompt_is_made_and_nothing_of_the_pipelines(
    project: Project, made: Summary
) -> None:
    folder = folder_of(project, made)
    assert (made.facts["made"], made.facts["failures"]) == (2, [])
    views = sorted(path.name for path in (folder / "views" / folder.name).glob("*.parquet"))
    assert views == ["000_left.parquet", "001_zoom_in.parquet"]
    assert (project.root / made.facts["image"]).is_file()
    assert sorted(path.name for path in (project.root / "outputs").iterdir()) == ["prompts"]


def test_the_clip_holds_the_prompt_and_all_settings(project: Project, made: Summary) -> None:
    folder = folder_of(project, made)
    clip = read_clip(folder / "clips" / folder.name)
    assert clip.prompt == TEXT
    assert clip.source is not None
    assert clip.source["seed"] == "42"
    assert clip.source["model"].startswith("flux@")


def test_the_same_prompt_again_finds_its_picture_and_its_views(
    project: Project, made: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextToImage, "paint", lambda *_, **__: pytest.fail("was painted again"))
    again = run_prompt(project.params_file, TEXT, device="cpu")
    assert again.facts["scene_id"] == made.facts["scene_id"]
    assert (again.facts["made"], again.facts["reused"]) == (0, 2)


def test_another_prompt_leaves_the_first_one_alone(project: Project, made: Summary) -> None:
    other = run_prompt(project.params_file, "something else", device="cpu")
    assert folder_of(project, other) != folder_of(project, made)
    assert (folder_of(project, made) / "views").is_dir()


def test_the_entry_it_prints_makes_the_same_clip_in_the_pipeline(
    project: Project, made: Summary
) -> None:
    printed = str(made.details[-1])
    entries = yaml.safe_load(printed.partition("\n")[2])
    assert entries == [made.facts["source"]]
    project.change("annotate", "sources", to=entries)
    run_annotate(project.params_file)
    scene_id = made.facts["scene_id"]
    index = Path("clips") / scene_id / "clip.json"
    pipeline = json.loads((project.root / "outputs" / index).read_text())
    assert pipeline == json.loads((folder_of(project, made) / index).read_text())


def test_a_failed_view_of_a_prompt_is_made_when_it_is_tried_again(project: Project) -> None:
    command = ["generate", "--prompt", "a view that fails", "--device", "cpu", "--json"]
    command += ["--params", str(project.params_file)]
    make = ViewMaker.make

    def refuse_left(self: ViewMaker, clip: Clip, job: Job) -> View:
        if job.trajectory == "left":
            raise InputError("nothing there")
        return make(self, clip, job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ViewMaker, "make", refuse_left)
        assert CliRunner().invoke(app, command).exit_code == 2
    assert "1 of 2 failed" in CliRunner().invoke(app, command).output
    result = CliRunner().invoke(app, [*command, "--retry-failed"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["made"], told["reused"], told["failures"]) == (1, 1, [])


def test_missing_weights_of_the_teacher_are_told_before_a_picture_is_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: ViewMaker) -> dict[str, str]:
        raise ParamsError("the weights are missing")

    monkeypatch.setattr(ViewMaker, "fingerprints", property(missing))
    monkeypatch.setattr(TextToImage, "paint", lambda *_, **__: pytest.fail("was painted"))
    with pytest.raises(ParamsError, match="the weights are missing"):
        run_prompt(project.params_file, "never painted", device="cpu")


def test_a_device_that_is_not_there_is_told_before_a_picture_is_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextToImage, "paint", lambda *_, **__: pytest.fail("was painted"))
    with pytest.raises(ExecutorError, match="'cuda:7' is no device of this machine"):
        run_prompt(project.params_file, "never painted", device="cuda:7")


def test_a_missing_depth_model_is_told_before_a_picture_is_made(project: Project) -> None:
    """A process of its own: the type checks of this one ask every estimator for its fingerprint."""
    pictures = project.root / ".work" / "annotate_pictures"
    before = sorted(pictures.glob("*"))
    project.change("annotate", "depth", to=depth() | {"model": "nobody/DepthPro"})
    error = project.cli("generate", "--prompt", "never painted", expect=2)["error"]
    project.change("annotate", "depth", to=depth())
    assert "model 'nobody/DepthPro' is not on this machine" in error["what"]
    assert sorted(pictures.glob("*")) == before


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_prompt_is_refused(project: Project, text: str) -> None:
    with pytest.raises(InputError, match="is empty") as caught:
        run_prompt(project.params_file, text)
    assert caught.value.where == "--prompt"


def test_a_prompt_where_depth_is_to_be_given_names_the_key_to_change(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    with pytest.raises(ParamsError, match="made from text") as caught:
        run_prompt(project.params_file, TEXT)
    assert caught.value.where == "annotate.depth"
    assert not (project.root / "outputs").exists() or not list(
        (project.root / "outputs").rglob("*.png")
    )
