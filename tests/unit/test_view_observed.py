"""view of a clip and of a dataset's scene: what is read, what the page holds, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lyra_data.clips.store import write_clip
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.scene.cameras import PIXEL_CENTRE
from lyra_data.scene.projection import project, unproject
from lyra_model.reconstruction.known_points import known_points, thinned
from lyra_model.reconstruction.observed import depth_steps, evenly, observed_page
from lyra_model.viewer.scene_page import read_scene_page
from stages.cli import app
from stages.verbs import observed_inputs
from stages.verbs.observed_inputs import observed_scene
from tests.dataset_scenes import exact_scene
from tests.factories import make_clip, make_targets, make_view


@pytest.fixture(scope="module")
def moving(tmp_path_factory) -> Path:
    """Two scenes of nine frames, each of two views forward and one backward."""
    folder = tmp_path_factory.mktemp("moving") / "data"
    scenes = [*exact_scene("b"), *exact_scene("a")]
    write_dataset(
        scenes, folder, splits={"a": "train", "b": "train"}, scenes_per_shard=2, provenance={}
    )
    return folder


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("still") / "data"
    views = [
        make_view("s", index, 33, trajectory=name) for index, name in enumerate(("up", "left"))
    ]
    write_dataset(views, folder, splits={"s": "train"}, scenes_per_shard=1, provenance={})
    return folder


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["view", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout if result.exit_code == 0 else result.output


def test_frames_are_chosen_evenly_and_depth_of_fewer_where_nothing_moves() -> None:
    assert evenly(5) == (0, 1, 2, 3, 4)
    assert evenly(121)[::15] == (0, 120) and len(evenly(121)) == 16
    assert depth_steps(16, moves=True) == tuple(range(16))
    assert depth_steps(16, moves=False) == (0, 5, 10, 15)


def test_thinned_frames_show_the_same_points_at_their_pixels() -> None:
    frames = make_targets()
    few = thinned(frames, 3)
    points = unproject(few.depth, few.depth_valid, few.cameras, pixel_centre=PIXEL_CENTRE)
    seen = points[0][few.depth_valid[0]]
    x_and_y = project(seen, frames.cameras[[0]])[0]
    expected = torch.nonzero(few.depth_valid[0]).flip(-1) * 3 + 1 + PIXEL_CENTRE
    assert torch.allclose(x_and_y, expected.float(), atol=1e-3)
    assert torch.equal(few.rgb, frames.rgb[..., 1::3, 1::3])


def test_points_are_known_pixels_and_none_is_shown_twice() -> None:
    frames = make_targets(2)
    points = known_points([frames[[0]], frames[[0]]], at_most=10**6)
    assert len(points) == int(frames.depth_valid[0].sum())
    few = known_points([frames], at_most=200)
    assert 50 < len(few) <= 200


def test_a_moving_scene_has_a_moment_a_step_and_reversed_views_run_with_it(moving: Path) -> None:
    scene = observed_scene(str(moving))
    assert (scene.title, scene.moves, scene.unit) == ("b", True, "m")
    assert [view.name for view in scene.views] == ["right", "up", "right, reversed"]
    assert scene.steps_per_second == 24.0
    backward = exact_scene("b")[2]
    assert torch.equal(scene.views[2].frames, backward.frames.flip(0))
    assert torch.equal(scene.views[2].cameras.centres, backward.cameras.centres.flip(0))
    page = observed_page(scene)
    assert len(page.moments) == 9 and page.marks is not None
    assert page.marks.frame_numbers == tuple(range(9))
    assert [path.name for path in page.paths] == [view.name for view in scene.views]
    assert observed_scene(f"{moving}#a").title == "a"


def test_only_what_is_shown_is_decoded(still: Path, monkeypatch) -> None:
    opened: list[SceneDataset] = []

    def opening(*arguments, **options) -> SceneDataset:
        opened.append(SceneDataset(*arguments, **options))
        return opened[0]

    monkeypatch.setattr(observed_inputs, "SceneDataset", opening)
    scene = observed_scene(str(still))
    assert not scene.moves and len(scene.frame_numbers) == 16
    assert scene.views[0].depth_steps == (0, 5, 10, 15)
    parts = opened[0].counts.parts
    assert parts["depth"] == parts["depth_valid"] == 2 * 4
    assert not parts["latents"] and not parts["filled"]
    assert len(observed_page(scene).moments) == 1


def test_the_start_sees_every_camera_and_most_points(still: Path) -> None:
    scene = observed_scene(str(still))
    page = observed_page(scene)
    for positions, least in (
        (torch.cat([view.cameras.centres for view in scene.views]), 1.0),
        (page.moments[0].means, 0.7),
    ):
        x, y = project(positions, page.camera)[0].unbind(-1)
        inside = (x > 0) & (x < page.camera.width) & (y > 0) & (y < page.camera.height)
        assert float(inside.float().mean()) >= least


def test_a_clip_of_a_video_and_one_of_a_photo_become_pages(tmp_path: Path) -> None:
    for name, frames, moments in (("video", 20, 16), ("photo", 1, 1)):
        write_clip(make_clip(name, frames), tmp_path / "clips" / name)
        page = tmp_path / f"{name}.html"
        code, output = run(str(tmp_path / "clips" / name), "--html", str(page), "--json")
        assert code == 0, output
        assert json.loads(output)["num_gaussians"] > 100 * moments
        assert len(read_scene_page(page)) == moments
        assert f"{frames} frame{'s' * (frames > 1)} of" in page.read_text("utf-8")


def test_a_dataset_becomes_the_same_page_twice_and_says_its_scene(
    moving: Path, tmp_path: Path
) -> None:
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    for page in pages:
        code, output = run(f"{moving}#a", "--html", str(page))
        assert code == 0 and "points in" in output, output
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = pages[0].read_text("utf-8")
    assert "3 views of 9 frames" in text and ">right, reversed<" in text


def test_cameras_alone_are_shown_where_no_depth_is_known(tmp_path: Path) -> None:
    clip = make_clip("flat", 3)
    nothing = torch.zeros_like(clip.depth)
    unknown = {**vars(clip), "depth": nothing, "depth_valid": nothing > 0}
    write_clip(type(clip)(**unknown), tmp_path / "flat")
    code, output = run(str(tmp_path / "flat"), "--html", str(tmp_path / "page.html"), "--json")
    assert code == 0 and json.loads(output)["num_gaussians"] == 0


def test_what_cannot_be_shown_is_refused_in_words(moving: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_clip(make_clip(name), tmp_path / "clips" / name)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "clip.json").write_text("{")
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / "empty").mkdir()
    for given, reason in (
        (f"{moving}#c", "there is no scene 'c'"),
        (tmp_path / "clips", "holds 2 clips"),
        (tmp_path / "cut", "clip.json"),
        (tmp_path / "notes.txt", "no PLY of Gaussians, clip or dataset"),
        (tmp_path / "empty", "no clip lies here"),
        (tmp_path / "absent", "there is no such file"),
    ):
        code, output = run(str(given), "--html", str(tmp_path / "page.html"))
        assert code == 2 and reason in " ".join(output.split()), output
        assert "Traceback" not in output
    assert not (tmp_path / "page.html").exists()
