"""reconstruct INPUT...: scenes of files, of clips, of views that are there, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.hashing import sha256_of_files
from stages.annotate import run_annotate
from stages.cli import app
from stages.generate import run_generate
from stages.verbs.origin_projects import ORIGIN
from stages.verbs.reconstruct_inputs import Request, reconstruct_inputs
from stages.verbs.scene_inputs import project_of
from stages.verbs.scene_size import fitted_size, scene_size, shared_size
from tests.pipeline.project import HEIGHT, WIDTH, Project, write_source

FILES = ["cameras.json", "depth.mp4", "report.json", "scene.html", "scene.ply", "video.mp4"]


def request(*inputs: str | Path, **changes: Any) -> Request:
    fits = changes.get("changes", {}).get("method", "fit") == "fit"
    values: dict[str, Any] = {
        "inputs": tuple(map(str, inputs)),
        "prompt": None,
        "output": None,
        "changes": {"frames_per_view": 2},
        "steps": 2 if fits else None,
        "pixels": HEIGHT * WIDTH,
        "render_path": None,
        "max_frames": None,
        "preset": "scene",
        "project": None,
        "dry_run": False,
        "max_bytes": None,
    }
    return Request(**{**values, **changes})


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("generated"))
    run_annotate(project.params_file)
    run_generate(project.params_file)
    return project


def test_a_folder_becomes_a_scene_at_the_shape_of_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_source(tmp_path / "mine" / "house")
    done = reconstruct_inputs(request("mine/house", output=tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    report = done.facts["scenes"]["house"]["report"]
    assert (report["views"]["height"], report["views"]["width"]) == (HEIGHT, WIDTH)
    again = reconstruct_inputs(request("mine/house", output=tmp_path / "other"))
    assert again.facts["project"] == done.facts["project"] == "runs/house"
    assert sha256_of_files(tmp_path / "other") == sha256_of_files(tmp_path / "out")


def test_a_project_of_another_size_is_not_taken_for_the_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_source(tmp_path / "house")
    inputs = {"prompt": None, "folder": None, "preset": "scene"}
    made = project_of(("house",), pixels=HEIGHT * WIDTH, **inputs)
    assert project_of(("house",), pixels=HEIGHT * WIDTH, **inputs) == made
    assert project_of(("house",), pixels=None, **inputs) == made
    with pytest.raises(
        InputError, match=f"pictures of {WIDTH}x{HEIGHT}, and --pixels asks for 16x16"
    ):
        project_of(("house",), pixels=256, **inputs)


def test_views_that_are_there_are_not_made_again(
    generated: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    views = generated.root / "outputs" / "views"
    done = reconstruct_inputs(request(views / "wall", changes={"method": "unproject"}))
    assert (tmp_path / "runs" / "wall" / ORIGIN).is_file()
    assert not (tmp_path / "runs" / "wall" / "outputs" / "clips").exists()
    assert done.facts["scenes"]["wall"]["report"]["real_photos"] is None
    assert project_of((str(views),), prompt=None, folder=None, preset="scene", pixels=None) == (
        project_of((str(views / "wall"),), prompt=None, folder=None, preset="scene", pixels=None)
    )


def test_a_clip_is_an_input_like_its_source(
    generated: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = generated.root / "outputs" / "clips" / "wall"
    project = project_of((str(clip),), prompt=None, folder=None, preset="scene", pixels=None)
    done = run_annotate(project.folder / "params.yaml")
    assert done.facts["scenes"][0]["scene_id"] == "wall"


def test_a_dry_run_tells_stages_and_memory_and_makes_no_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_source(tmp_path / "house")
    done = reconstruct_inputs(request("house", dry_run=True))
    assert done.facts["stages"] == ["annotate", "generate", "reconstruct"]
    assert (done.facts["height"], done.facts["width"]) == (HEIGHT, WIDTH)
    assert done.facts["peak_memory_bytes"] > 2**28
    assert not (tmp_path / "runs" / "house" / "outputs" / "clips").exists()


@pytest.mark.parametrize(
    ("inputs", "changes", "message"),
    [
        (("nothing.jpg",), {}, "there is no such file"),
        (("motorcycle", "house"), {}, "reconstructed alone"),
        (("house",), {"prompt": "a harbour"}, "a prompt and inputs"),
        ((), {"prompt": "  "}, "is empty"),
        (("house",), {"changes": {"method": "decoder", "weights": "no"}}, "no such folder"),
        (("house",), {"changes": {"method": "decoder"}}, "needs weights"),
        (("house",), {"steps": 3, "changes": {"method": "unproject"}}, "unproject does not read"),
        (("house",), {"changes": {"refine_steps": 3}}, "method fit does not read"),
        (("house",), {"changes": {"method": "fit", "weights": "x"}}, "method fit does not read"),
        (
            ("house",),
            {"steps": 3, "changes": {"method": "decoder", "weights": "x"}},
            "method decoder does not read",
        ),
        (("house",), {"max_bytes": 2**20}, "at the least"),
        (("house",), {"max_frames": 5}, "none of the inputs is a video"),
        (("house",), {"render_path": "circle"}, "there is no camera path"),
        (("house",), {"render_path": "house/intrinsics.json"}, "intrinsics.json"),
        (("house",), {"output": Path("house")}, "did not write"),
    ],
)
def test_what_cannot_be_a_scene_is_told_before_any_work(
    inputs: tuple[str, ...],
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_source(tmp_path / "house")
    before = sha256_of_files(tmp_path / "house")
    with pytest.raises((InputError, ParamsError), match=message):
        reconstruct_inputs(request(*inputs, **changes))
    assert sha256_of_files(tmp_path / "house") == before
    assert not list(tmp_path.glob("runs/*/outputs/clips"))


def test_words_without_a_depth_model_name_the_command_that_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.verbs.project_pictures.depth_at_hand", lambda root: None)
    with pytest.raises(ParamsError, match="lyra-data weights pull depth-anything") as refusal:
        reconstruct_inputs(request(prompt="a harbour"))
    told = str(refusal.value)
    assert "the picture painted of this text comes without depth" in told
    assert "depth.npy" not in told, "no depth can lie beside a picture that is still to be painted"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "decoder", "house"], "needs --weights, e.g. cpu-small"),
        ([], "neither an INPUT nor a project"),
        (["--method", "fitt", "house"], "--method': 'fitt' is not one of"),
    ],
)
def test_the_command_line_is_answered_in_its_own_words(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["reconstruct", *words], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_options_of_inputs_are_refused_without_any(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    done = CliRunner().invoke(app, ["reconstruct", "--method", "fit"])
    assert done.exit_code == 2
    assert "params.yaml says them" in done.output


# sizes


@pytest.mark.parametrize(
    ("height", "width", "pixels", "expected"),
    [
        (494, 741, 98_304, (256, 384)),
        (1080, 1920, 49_152, (160, 288)),
        (4000, 3000, 98_304, (368, 272)),  # a portrait photo stays one
        (100, 50, 98_304, (96, 48)),  # nothing is enlarged
        (10, 10, 98_304, (16, 16)),
    ],
)
def test_a_scene_has_the_shape_of_its_input(
    height: int, width: int, pixels: int, expected: tuple[int, int]
) -> None:
    assert fitted_size(height, width, pixels) == expected


def test_a_source_is_read_for_its_size(tmp_path: Path) -> None:
    write_source(tmp_path / "wall")
    source = {"name": "files", "folder": "wall", "scene_id": "wall"}
    assert scene_size(source, None, tmp_path) == (HEIGHT, WIDTH)
    assert scene_size({"name": "motorcycle"}, None, tmp_path) == (256, 384)


def test_inputs_of_another_shape_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = []
    for name, (height, width) in {"a": (96, 144), "b": (64, 96), "c": (144, 96)}.items():
        Image.new("RGB", (width, height), "white").save(tmp_path / f"{name}.png")
        sources.append({"name": "picture", "path": f"{name}.png", "scene_id": name})
    (tmp_path / "d.png").write_bytes(b"no picture")
    sources.append({"name": "picture", "path": "d.png", "scene_id": "d"})
    assert shared_size(sources, None, tmp_path) == (96, 144)
    assert "; c (96x144 by itself): cut to it" in caplog.text
    caplog.clear()
    assert shared_size(sources[:2], None, tmp_path) == (96, 144)
    assert "cut to it" not in caplog.text
