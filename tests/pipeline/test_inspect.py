"""lyra-data inspect: its numbers, its pictures, and what it does not overwrite."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lyra_data.clips.pictures import is_sheet
from lyra_data.clips.store import CLIP_INDEX, write_clip, write_index
from stages.verbs.inspection import inspect
from tests.ray_cast import MOVING, STILL, clip_of, moving_cameras, still_camera

app = typer.Typer()
app.command("inspect")(inspect)
app.command("other")(lambda: None)


def run(*arguments: object):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture
def clips(tmp_path: Path, monkeypatch) -> Path:
    """A video and an image; the folder around them is the current one."""
    video = clip_of(MOVING, moving_cameras(5), "video")
    source = {**video.source, "annotator": "given-128x96"}
    write_clip(replace(video, source=source), tmp_path / "clips" / "video")
    write_clip(clip_of(STILL, still_camera(), "image"), tmp_path / "clips" / "image")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "clips"


@pytest.mark.parametrize("scene", ["video", "image"])
def test_a_page_of_the_clip_s_name_is_written_beside_and_again(clips: Path, scene: str) -> None:
    for _ in range(2):
        ran = run(clips / scene)
        assert ran.exit_code == 0, ran.output
    assert is_sheet(Path(f"{scene}.png"))
    assert sorted(path.name for path in Path().iterdir()) == ["clips", f"{scene}.png"]


def test_the_numbers_are_told_within_80_columns(clips: Path) -> None:
    ran = run(clips / "video", "--output", "page.png")
    assert max(map(len, ran.stdout.splitlines()[1:])) <= 80
    for part in ("5 at 24", "128 x 96", "metric", "given-128x96", "CC0-1.0", "0" * 64, "0 errors"):
        assert part in ran.stdout


def test_json_holds_the_facts_and_the_findings(clips: Path) -> None:
    told = json.loads(run(clips / "image", "--json").stdout)
    assert told["num_frames"] == 1 and told["picture"] == "image.png" and told["findings"] == []


def test_a_video_is_written_by_suffix_and_replaced_only_when_told(clips: Path) -> None:
    assert run(clips / "video", "--output", "new/path.mp4").exit_code == 0
    assert Path("new/path.mp4").stat().st_size > 1000
    again = run(clips / "video", "--output", "new/path.mp4")
    assert again.exit_code == 2 and "--overwrite" in again.output
    assert run(clips / "video", "--output", "new/path.mp4", "--overwrite").exit_code == 0


def test_a_file_that_is_not_its_own_is_left_alone(clips: Path) -> None:
    Image.new("RGB", (8, 8)).save("video.png")
    before = Path("video.png").read_bytes()
    ran = run(clips / "video")
    assert ran.exit_code == 2 and "--overwrite" in ran.output
    assert Path("video.png").read_bytes() == before
    assert run(clips / "video", "--overwrite").exit_code == 0 and is_sheet(Path("video.png"))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere"], "no such folder"),
        (["clips"], "name one of them"),
        (["clips/video", "--output", "page.gif"], ".png or .mp4"),
        (["clips/video", "--output", "folder.png"], "folder"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_fix(
    clips: Path, arguments: list[str], word: str
) -> None:
    Path("folder.png").mkdir()
    ran = run(*arguments)
    assert ran.exit_code == 2 and word in ran.output and "Traceback" not in ran.output


def test_a_clip_without_numbers_is_refused_by_the_rule_it_breaks(clips: Path) -> None:
    folder = clips / "video"
    facts = json.loads((folder / CLIP_INDEX).read_text())["facts"]
    depth = np.load(folder / "depth.npy")
    depth[0, 0, 0] = np.nan
    (folder / CLIP_INDEX).unlink()
    np.save(folder / "depth.npy", depth)
    write_index(facts, folder, CLIP_INDEX)
    ran = run(folder)
    assert ran.exit_code == 2 and "depth-values" in ran.output
    assert not Path("video.png").exists()
