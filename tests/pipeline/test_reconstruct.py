"""reconstruct: scenes of views, of inputs, of what is there; repeatable, resumable, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.clips.store import write_clip
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.hashing import sha256_of_files
from lyra_model.export.ply import read_ply
from stages.annotate import run_annotate
from stages.cli import app
from stages.generate import run_generate
from stages.reconstruct import run_reconstruct
from stages.verbs.reconstruct_inputs import Request, reconstruct_inputs
from stages.verbs.scene_inputs import ORIGIN, project_of
from stages.verbs.scene_size import fitted_size, scene_size
from tests.pipeline.project import HEIGHT, WIDTH, Project, write_source
from tests.ray_cast import MOVING, clip_of, moving_cameras

FILES = ["cameras.json", "depth.mp4", "report.json", "scene.html", "scene.ply", "video.mp4"]

KILL_IN_FIT = """
import os, signal
from pathlib import Path
from lyra_model.fitting.scene_fit import SceneFit
from stages.reconstruct import run_reconstruct

take_step = SceneFit.take_step
def steps_until_the_third(self):
    if self.step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(self)
SceneFit.take_step = steps_until_the_third
run_reconstruct(Path("params.yaml"))
"""

KILL_IN_VIDEO = """
import os, signal
from pathlib import Path
from lyra_model.reconstruction import reconstruct
from stages.reconstruct import run_reconstruct

def die(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)
reconstruct.write_video = die
run_reconstruct(Path("params.yaml"))
"""


def request(*inputs: str | Path, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "inputs": tuple(map(str, inputs)),
        "prompt": None,
        "output": None,
        "changes": {"frames_per_view": 2},
        "steps": 2,
        "pixels": HEIGHT * WIDTH,
        "render_path": None,
        "max_frames": None,
        "preset": "scene",
        "project": None,
        "dry_run": False,
        "max_bytes": None,
    }
    return Request(**{**values, **changes})


def hashes(folder: Path) -> dict[str, Any]:
    """The files of a scene, and its report but for what it says of the run."""
    report = json.loads((folder / "report.json").read_text())
    del report["run"]
    return {**sha256_of_files(folder), "report.json": report}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("generated"))
    run_annotate(project.params_file)
    run_generate(project.params_file)
    return project


@pytest.fixture(scope="module")
def finished(generated: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copied(generated, tmp_path_factory.mktemp("finished"))
    run_reconstruct(project.params_file)
    return project


def copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.root, folder, dirs_exist_ok=True)
    made = Project.__new__(Project)
    made.root = folder
    return made


def scene_of(project: Project) -> Path:
    return project.root / "outputs" / "scenes" / "wall"


# the stage


def test_a_scene_has_all_its_files_and_a_report_of_what_was_measured(finished: Project) -> None:
    folder = scene_of(finished)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    report = json.loads((folder / "report.json").read_text())
    assert report["method"] == "fit"
    assert report["gaussians"] == len(read_ply(folder / "scene.ply"))
    assert report["frames_read"]["frames"] == 2 * 3
    assert report["held_out"]["frames"] == 2 * 4
    assert 5 < report["held_out"]["psnr_db"] < 60
    assert report["real_photos"] is None
    assert set(report["reach"]) == {"left", "right", "up", "down", "forwards", "backwards"}
    assert report["run"]["peak_memory_bytes"] > 2**20
    assert len(report["run"]["seconds_of_moments"]) == len(report["moments"]) == 1
    assert len(json.loads((folder / "cameras.json").read_text())["camera_path"]) == 4


def test_again_without_a_change_nothing_is_made_and_not_a_byte_differs(finished: Project) -> None:
    before = sha256_of_files(scene_of(finished))
    done = run_reconstruct(finished.params_file)
    assert "0 made, 1 found finished" in done.headline
    assert sha256_of_files(scene_of(finished)) == before


@pytest.mark.parametrize("code", [KILL_IN_FIT, KILL_IN_VIDEO], ids=["fitting", "filming"])
def test_a_killed_run_goes_on_to_the_same_bytes(
    code: str, generated: Project, finished: Project, tmp_path: Path
) -> None:
    project = copied(generated, tmp_path / "killed")
    project.run_and_be_killed(code)
    assert not scene_of(project).exists()
    run_reconstruct(project.params_file)
    assert hashes(scene_of(project)) == hashes(scene_of(finished))
    assert not list((project.root / ".work").glob("reconstruct_states/*"))


def test_unprojection_takes_no_step(finished: Project, tmp_path: Path) -> None:
    project = copied(finished, tmp_path / "unprojected")
    project.change("reconstruct", "method", to="unproject")
    report = run_reconstruct(project.params_file).facts["scenes"]["wall"]["report"]
    assert (report["method"], report["moments"][0]["steps"]) == ("unproject", 0)


def test_a_setting_that_changes_the_scene_makes_it_anew(finished: Project, tmp_path: Path) -> None:
    project = copied(finished, tmp_path / "changed")
    project.change("reconstruct", "video", "path", to="dolly")
    done = run_reconstruct(project.params_file)
    assert "1 made" in done.headline
    moments = project.root / ".work" / "reconstruct_moments"
    assert len(list(moments.iterdir())) == 1  # the camera's way shapes no Gaussian
    assert hashes(scene_of(project))["video.mp4"] != hashes(scene_of(finished))["video.mp4"]


def test_a_scene_that_moves_has_its_moments_and_three_videos(tmp_path: Path) -> None:
    project = Project(tmp_path / "moving")
    clip = clip_of(MOVING, moving_cameras(17), "video")
    write_clip(clip, project.root / "outputs" / "clips" / "video")
    limits = json.loads(json.dumps(dict.fromkeys(_limits(project))))
    project.change("generate", "quality", to=limits)
    run_generate(project.params_file)
    run_reconstruct(project.params_file)
    folder = project.root / "outputs" / "scenes" / "video"
    names = sorted(path.name for path in folder.iterdir())
    assert {"video.mp4", "video_bullet_time.mp4", "video_filmed.mp4", "moments"} <= set(names)
    moments = sorted(path.name for path in (folder / "moments").iterdir())
    assert moments == ["00000.ply", "00016.ply"]
    report = json.loads((folder / "report.json").read_text())
    assert report["moves"]
    assert [moment["moment"] for moment in report["moments"]] == [0, 16]


def _limits(project: Project) -> list[str]:
    import yaml

    return list(yaml.safe_load(project.params_file.read_text())["generate"]["quality"])


# inputs


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
    with pytest.raises(ParamsError, match="lyra-data weights pull depth-anything"):
        reconstruct_inputs(request(prompt="a harbour"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "decoder", "house"], "needs --weights FOLDER"),
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
