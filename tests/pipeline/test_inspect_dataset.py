"""lyra-data inspect of a dataset: one scene with all its views, as a page and as a video."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lyra_data.clips.pictures import is_sheet
from lyra_data.clips.pictures.canvas import resized
from lyra_data.dataset.pictures import scene_video
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.media.video import read_video
from stages.verbs.inspection import inspect
from tests.dataset_scenes import exact_scene
from tests.factories import make_view

app = typer.Typer()
app.command("inspect")(inspect)
app.command("other")(lambda: None)


def run(*arguments: object):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "dataset"
    views = [*exact_scene("a"), make_view("b", num_frames=1), make_view("b", 1, num_frames=9)]
    write_dataset(views, folder, splits=None, scenes_per_shard=2, provenance={})
    return folder


def test_a_page_of_all_views_is_written_and_replaced(dataset: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        ran = run(dataset, "--scene", "a")
        assert ran.exit_code == 0, ran.output
    assert is_sheet(Path("a.png")) and max(map(len, ran.stdout.splitlines()[1:])) <= 80
    page = np.array(Image.open("a.png"))
    bluish = (page[..., 2].astype(int) - page[..., 0] > 60) & (page[..., 2] > 120)
    assert page.shape[1] == 1200 and bluish.sum() > 50
    told = json.loads(run(dataset, "--scene", "a", "--json").stdout)
    assert [view["trajectory"] for view in told["views"]] == ["right", "up", "right"]
    assert [view["motion_reversed"] for view in told["views"]] == [False, False, True]


def test_a_distance_that_is_not_stated_is_a_dash_and_null(tmp_path: Path) -> None:
    view = replace(make_view("c"), movement_distance=math.nan)
    write_dataset([view], tmp_path / "d", splits=None, scenes_per_shard=1, provenance={})
    shown = run(tmp_path / "d", "--scene", "c", "--output", tmp_path / "c.png")
    assert shown.exit_code == 0 and "nan" not in shown.stdout and " - " in shown.stdout
    told = run(tmp_path / "d", "--scene", "c", "--output", tmp_path / "c.png", "--json").stdout
    views = json.loads(told, parse_constant=pytest.fail)["views"]
    assert views[0]["movement_distance"] is None


def test_every_view_shows_its_own_frames_in_its_own_place(dataset: Path) -> None:
    video = scene_video(SceneDataset(dataset)["a"]).permute(0, 2, 3, 1).numpy()
    cell, height, row = 203, 152, 186
    assert video.shape[:1] + video.shape[2:] == (9, 1280, 3) and video.shape[1] % 2 == 0
    for view, left, top in ((0, 10, 32), (1, 650, 32), (2, 10, 32 + row)):
        for index in (0, 8):
            frame = exact_scene("a")[view].frames[index].permute(1, 2, 0).numpy().copy()
            expected = resized(frame, height, cell, smooth=True)
            assert (video[index, top : top + height, left : left + cell] == expected).all()


def test_a_video_shows_every_frame_of_the_longest_view(dataset: Path, tmp_path: Path) -> None:
    ran = run(dataset, "--scene", "b", "--output", tmp_path / "b.mp4")
    assert ran.exit_code == 0, ran.output
    assert len(read_video(tmp_path / "b.mp4").frames) == 9
    again = run(dataset, "--scene", "b", "--output", tmp_path / "b.mp4")
    assert again.exit_code == 2 and "--overwrite" in again.output


@pytest.mark.parametrize(
    ("arguments", "told"), [([], "--scene a"), (["--scene", "z"], "scenes: a, b")]
)
def test_a_scene_has_to_be_named_and_there(dataset: Path, arguments: list[str], told: str) -> None:
    ran = run(dataset, *arguments)
    assert ran.exit_code == 2 and told in " ".join(ran.output.split())
