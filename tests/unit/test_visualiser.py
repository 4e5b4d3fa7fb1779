"""Pictures of scenes that training draws: what they show, when, how many; they change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lyra_data.clips.pictures.canvas import TEXT, TITLE
from lyra_data.clips.pictures.sheet import GAP, MARGIN
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.imports import modules_run_by
from lyra_data.media.colour_maps import HATCH_DARK, HATCH_LIGHT, Limits
from lyra_data.media.video import read_video
from lyra_data.models.codecs import CODECS
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.export.ply import read_ply
from lyra_model.metrics.psnr import psnr
from lyra_model.rendering import render
from lyra_model.training import assembly
from lyra_model.training.assembly import TrainingData, TrainingSite
from lyra_model.training.comparison_grid import LEAST_WIDTH, GridRow, comparison_grid
from lyra_model.training.processes import Processes
from lyra_model.training.states import Upkeep
from lyra_model.training.step_pictures import StepPictures, holds_pictures_alone
from lyra_model.training.visualiser import VIDEO_FRAMES, Visualiser
from tests.factories import make_view
from tests.unit import test_dynamic_training as dynamic
from tests.unit.test_training import (
    HEIGHT,
    NUM_FRAMES,
    WIDTH,
    KilledError,
    assert_same_weights,
    make_dataset,
    make_params,
    train,
)

SPLITS = {"a": "train", "b": "validation"}
FILES = ["grid.png", "scene.ply", "video.mp4"]


def moved_dataset(folder: Path) -> SceneDataset:
    """Scenes a and b whose first cameras are not the world's origin."""
    codec = CODECS.create({"name": "dct"}, where="test")
    move = torch.eye(4)
    move[:3, :3] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    move[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    views = []
    for scene in SPLITS:
        for index in range(2):
            view = make_view(
                scene, index, NUM_FRAMES, HEIGHT, WIDTH, codec_fingerprint=codec.fingerprint
            )
            poses = move @ view.cameras.camera_to_world
            views.append(replace(view, cameras=replace(view.cameras, camera_to_world=poses)))
    write_dataset(views, folder, splits=SPLITS, scenes_per_shard=1, provenance={})
    return SceneDataset(folder, split="train")


def pictures_of(folder: Path) -> StepPictures:
    (samples,) = (folder / "scratch" / "train").glob("*/samples")
    return StepPictures(samples)


def facts_of(folder: Path) -> dict:
    return json.loads((folder / "pictures.json").read_text())


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps, looked at after each; the pictures of the end in `shown`."""
    folder = tmp_path_factory.mktemp("drawn")
    dataset = moved_dataset(folder / "data")
    upkeep = Upkeep(validation_steps=1)
    train(make_params(), ["small"], dataset, folder, upkeep=upkeep, pictures=folder / "shown")
    return folder


def test_validation_scenes_are_drawn_after_the_asked_steps_and_at_the_end(drawn):
    pictures = pictures_of(drawn)
    assert files_of(pictures.folder) == ["step_00000001", "step_00000002", "step_00000003"]
    for step in (2, 3):
        assert files_of(pictures.of(step)) == ["b", "pictures.json"]
        assert files_of(pictures.of(step) / "b") == FILES


def test_files_of_gaussians_stay_of_the_newest_steps_alone(drawn):
    assert files_of(pictures_of(drawn).of(1) / "b") == ["grid.png", "video.mp4"]


def test_the_pictures_of_a_phases_end_lie_under_its_name(drawn):
    shown, last = drawn / "shown" / "small", pictures_of(drawn).of(3)
    assert files_of(drawn / "shown") == ["small"]
    assert files_of(shown / "b") == FILES
    assert (shown / "b" / "grid.png").read_bytes() == (last / "b" / "grid.png").read_bytes()
    assert holds_pictures_alone(shown)


def test_the_file_of_gaussians_renders_as_the_grid_says_at_the_cameras_of_the_dataset(drawn):
    (facts,) = facts_of(drawn / "shown" / "small")["scenes"]
    views = SceneDataset(drawn / "data").scene("b")
    gaussians = read_ply(drawn / "shown" / "small" / "b" / "scene.ply")
    assert len(gaussians) == facts["num_gaussians"]
    assert [row["frame"] for row in facts["views"]] == [NUM_FRAMES - 1] * 2
    assert [row["trajectory"] for row in facts["views"]] == [view.trajectory for view in views]
    for row, view in zip(facts["views"], views, strict=True):
        cameras = view.cameras[[row["frame"]]]
        made = render(gaussians, cameras, make_params().rendering)
        truth = unit_from_bytes(view.frames[[row["frame"]]])
        # A file's float32 logits and logarithms are not the numbers that the decoder gave.
        assert float(psnr(made.rgb, truth).values[0]) == pytest.approx(row["psnr_db"], abs=0.01)


def test_targets_are_held_out_and_other_frames_are_named_as_read(drawn):
    (facts,) = facts_of(drawn / "shown" / "small")["scenes"]
    num_read, held_out = 9, make_params().held_out_frames
    for row in facts["views"]:
        assert row["frame"] >= NUM_FRAMES - held_out
        assert row["frame_read"] < num_read


def test_the_video_has_colours_and_depth_beside_them(drawn):
    video = read_video(drawn / "shown" / "small" / "b" / "video.mp4").frames
    assert video.shape == (VIDEO_FRAMES, 3, HEIGHT, 2 * WIDTH)
    assert not torch.equal(video[..., :WIDTH], video[..., WIDTH:])


def test_the_grid_has_a_row_a_view_of_five_pictures(drawn):
    grid = Image.open(drawn / "shown" / "small" / "b" / "grid.png")
    assert grid.width == 2 * MARGIN + 5 * LEAST_WIDTH + 4 * GAP
    height = LEAST_WIDTH * HEIGHT // WIDTH
    assert 2 * height < grid.height < 2 * (height + 2 * TEXT + 20) + 2 * MARGIN + TITLE + 5 * TEXT


def row_of(level: int, *, read: bool, known: bool) -> GridRow:
    height, width = 100, 200
    target = np.full((3, height, width), level, np.uint8)
    return GridRow(
        caption="a view",
        read=np.full_like(target, level // 2) if read else None,
        target=target,
        render=target.copy(),
        depth=np.full((height, width), 2.0, np.float32),
        depth_known=np.full((height, width), known),
    )


def test_a_grid_shows_what_was_read_beside_target_render_depth_and_error():
    rows = [row_of(200, read=True, known=True), row_of(100, read=False, known=False)]
    page = comparison_grid(rows, title="a", subtitle="b", depth_limits=Limits(1.0, 2.0), unit="m")
    height = len(page) - MARGIN - 10 - 50  # in the middle of the last row's pictures
    middles = [MARGIN + column * (200 + GAP) + 100 for column in range(5)]
    upper = height - (TEXT + 8 + 100 + 10)
    assert page[upper, middles[0]].tolist() == [100] * 3
    assert page[upper, middles[1]].tolist() == page[upper, middles[2]].tolist() == [200] * 3
    assert page[height, middles[1]].tolist() == page[height, middles[2]].tolist() == [100] * 3
    hatching = {HATCH_DARK, HATCH_LIGHT}
    assert tuple(page[height, middles[0]]) in hatching
    assert tuple(page[height, middles[3]]) in hatching
    assert tuple(page[upper, middles[3]]) not in hatching
    assert page[height, middles[4]].max() < 10


def test_without_validation_scenes_the_first_scene_is_drawn_and_the_weights_stay(tmp_path):
    dataset = make_dataset(tmp_path / "data", scenes=("a", "c"))
    made = []
    for name, steps in (("with", 2), ("without", 0)):
        upkeep = Upkeep(validation_steps=steps)
        pictures = tmp_path / name / "shown"
        trained = train(
            make_params(), ["small"], dataset, tmp_path / name, upkeep=upkeep, pictures=pictures
        )
        made.append(trained["small"])
    assert_same_weights(*made)
    assert made[0].history == made[1].history
    assert files_of(pictures_of(tmp_path / "with").of(2)) == ["a", "pictures.json"]
    assert not (tmp_path / "without" / "shown").exists()
    assert list((tmp_path / "without" / "scratch" / "train").glob("*/samples")) == []


def test_so_many_scenes_are_drawn_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "DRAWN_SCENES", 1)
    splits = {"a": "train", "b": "validation", "c": "validation"}
    dataset = make_dataset(tmp_path / "data", scenes=tuple(splits), splits=splits)
    validation = SceneDataset(dataset.uri, split="validation")
    trainer = assembly.create_phase_trainer(
        make_params(),
        "small",
        seed=1,
        data=TrainingData(dataset, validation, CODECS.create({"name": "dct"}, where="test")),
        start=None,
        site=TrainingSite(tmp_path, tmp_path, Upkeep(), create_visualiser=Visualiser),
        processes=Processes("cpu"),
    )
    assert trainer.visualiser is not None and trainer.validator is not None
    assert trainer.visualiser.scene_ids == ("b",)
    assert trainer.validator.scene_ids == ["b", "c"]


def test_a_run_killed_while_it_draws_goes_on_and_draws_the_same(drawn, tmp_path, monkeypatch):
    write = Visualiser._write

    def write_until_the_second_step(self, scene, folder, step):
        facts = write(self, scene, folder, step)
        if step == 2:
            raise KilledError
        return facts

    upkeep = Upkeep(checkpoint_steps=1, validation_steps=1)
    dataset = SceneDataset(drawn / "data", split="train")
    monkeypatch.setattr(Visualiser, "_write", write_until_the_second_step)
    with pytest.raises(KilledError):
        train(make_params(), ["small"], dataset, tmp_path, upkeep=upkeep)
    assert files_of(pictures_of(tmp_path).folder) == ["step_00000001"]
    monkeypatch.setattr(Visualiser, "_write", write)
    train(make_params(), ["small"], dataset, tmp_path, upkeep=upkeep)
    whole, resumed = (pictures_of(folder).of(3) for folder in (drawn, tmp_path))
    for name in ("pictures.json", "b/grid.png", "b/scene.ply"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name


def test_pictures_of_other_weights_do_not_stay_beside_new_ones(tmp_path):
    shown = tmp_path / "shown"
    (shown / "b").mkdir(parents=True)
    (shown / "b" / "grid.png").touch()
    (shown / "pictures.json").touch()
    StepPictures(tmp_path / "samples").publish(3, shown)
    assert not shown.exists()


@pytest.mark.parametrize("name", ["notes.txt", "b/notes.txt", "b/c/grid.png"])
def test_a_folder_with_a_file_of_somebody_else_is_not_taken_for_pictures(tmp_path, name):
    (tmp_path / "pictures.json").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "grid.png").touch()
    assert holds_pictures_alone(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert not holds_pictures_alone(tmp_path)
    StepPictures(tmp_path / "samples").publish(3, tmp_path)
    assert (tmp_path / name).exists()


def test_a_moving_scene_is_drawn_with_the_views_of_its_reversed_motion(tmp_path):
    views = [
        dynamic.brightening_view(index, motion_reversed=backwards)
        for index, backwards in enumerate((False, True))
    ]
    folder = tmp_path / "data"
    write_dataset(views, folder, splits=None, scenes_per_shard=1, provenance={})
    params = dynamic.make_params(steps=1)
    train(params, ["small"], SceneDataset(folder), tmp_path, upkeep=Upkeep(validation_steps=1))
    (scene,) = facts_of(pictures_of(tmp_path).of(1))["scenes"]
    last_read = params.phases["small"].num_frames - 1
    assert scene["moment"] == last_read
    assert [(row["frame"], row["frame_read"]) for row in scene["views"]] == [
        (last_read, last_read // 2),
        (dynamic.NUM_FRAMES - 1 - last_read, None),
    ]
    assert files_of(pictures_of(tmp_path).of(1) / "a") == FILES


def test_keys_of_training_do_not_name_the_code_that_draws():
    """A killed run goes on after the pictures' code has changed: it makes no weight."""
    hashed = modules_run_by(assembly.__name__)
    assert "lyra_model.training.validation" in hashed
    for module in ("visualiser", "comparison_grid", "decoded_scene"):
        assert f"lyra_model.training.{module}" not in hashed
