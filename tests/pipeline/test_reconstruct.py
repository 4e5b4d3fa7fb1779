"""reconstruct, the stage: scenes of views, repeatable and resumable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lyra_data.clips.store import write_clip
from lyra_data.engine.hashing import sha256_of_files
from lyra_model.export.ply import read_ply
from stages.annotate import run_annotate
from stages.generate import run_generate
from stages.reconstruct import run_reconstruct
from tests.pipeline.project import Project, write_source
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


def test_two_workers_make_the_scenes_of_one_process(tmp_path: Path, warm_workers: None) -> None:
    project = Project(tmp_path / "two")
    write_source(project.root / "inputs" / "other")
    sources = [
        {"name": "files", "folder": f"inputs/{name}", "scene_id": name}
        for name in ("wall", "other")
    ]
    project.change("annotate", "sources", to=sources)
    project.change("reconstruct", "method", to="unproject")  # fits are compared on Ray's cluster
    run_annotate(project.params_file)
    run_generate(project.params_file)
    scenes = project.root / "outputs" / "scenes"
    alone = run_reconstruct(project.params_file)
    made = {name: hashes(scenes / name) for name in ("wall", "other")}
    shutil.rmtree(scenes)
    shutil.rmtree(project.root / ".work" / "reconstruct")
    done = run_reconstruct(project.params_file, workers=2, device="cpu")
    assert done.headline == alone.headline
    assert {name: hashes(scenes / name) for name in ("wall", "other")} == made


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
