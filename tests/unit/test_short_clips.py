"""Phases that read more frames than views have: mirrored, or refused; and scenes in turn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from lyra_data.dataset.reading.sampler import SceneSampler
from lyra_data.engine.errors import ParamsError
from lyra_model.batches.loading import SceneLoader
from lyra_model.decoder.inputs import at_time
from tests.unit.test_processes import make_trainer
from tests.unit.test_training import (
    HEIGHT,
    NUM_FRAMES,
    WIDTH,
    assert_same_weights,
    make_dataset,
    make_params,
    scene_loader,
    train,
    whole_scene,
)

HELD_OUT = 4
READABLE = NUM_FRAMES - HELD_OUT


def loader_of(dataset, *, num_frames: int, dynamic: bool = False) -> SceneLoader:
    return scene_loader(dataset, num_frames=num_frames, readable=READABLE, dynamic=dynamic)


def test_short_views_are_read_forwards_then_backwards_without_held_out_frames(tmp_path):
    loader = loader_of(make_dataset(tmp_path / "data"), num_frames=33)
    assert loader.shape.frames == (*range(13), *range(11, -1, -1), *range(1, 9))
    batch = whole_scene(loader)
    origins = batch.inputs.rays_o[0].reshape(2, 33, 3, HEIGHT // 8, WIDTH // 8)
    assert torch.equal(origins[:, 11], origins[:, 13]) and torch.equal(
        origins[:, 0], origins[:, 24]
    )
    assert batch.inputs.latents.shape[1] == 2 * 5
    assert loader.num_different_frames == READABLE


def test_latents_of_mirrored_views_are_those_of_the_mirrored_video(tmp_path):
    loader = loader_of(make_dataset(tmp_path / "data"), num_frames=33)
    (view, _) = loader.dataset.scene("a")
    video = view.frames[list(loader.shape.frames)].permute(1, 0, 2, 3).float() / 127.5 - 1.0
    expected = loader.codec.encode(video).transpose(0, 1)
    torch.testing.assert_close(whole_scene(loader).inputs.latents[0, :5], expected)


def test_a_mirrored_frame_carries_the_moment_it_shows(tmp_path):
    loader = loader_of(make_dataset(tmp_path / "data"), num_frames=17, dynamic=True)
    batch = whole_scene(loader)
    shown = torch.tensor([*range(13), 11, 10, 9, 8], dtype=torch.float32)
    expected = at_time(batch.inputs, loader.codec, frame_times=shown, target_time=5.0)
    made = loader.inputs_at(batch, 5.0)
    assert made.time_latents is not None and expected.time_latents is not None
    assert torch.equal(made.time_latents, expected.time_latents)


def test_a_phase_of_mirrored_views_trains_and_knows_nothing_of_held_out_frames(tmp_path):
    params = make_params(num_frames=17, short_clips="mirror", num_target_frames=30)
    made = []
    for name, value in (("one", None), ("other", 255)):
        dataset = make_dataset(tmp_path / name, last_frames_value=value)
        made.append(train(params, ["small", "demo"], dataset, tmp_path / f"run_{name}")["demo"])
    assert_same_weights(*made)
    assert len(made[0].history) == 5


def test_targets_of_a_mirrored_phase_are_all_different(tmp_path):
    make_dataset(tmp_path / "data")
    params = make_params(num_frames=17, short_clips="mirror", num_target_frames=1000)
    frames = make_trainer(tmp_path, params, "demo").steps.take(0).draw.frames
    assert sorted(frames) == [(view, frame) for view in range(2) for frame in range(READABLE)]


def test_without_mirroring_a_phase_longer_than_the_data_is_refused_naming_it(tmp_path):
    params = make_params(num_frames=17)
    with pytest.raises(ParamsError, match="set short_clips to mirror") as caught:
        train(params, ["small", "demo"], make_dataset(tmp_path / "data"), tmp_path)
    assert "train.phases.demo" in str(caught.value.where)


def test_a_phase_of_larger_pictures_than_the_data_is_refused(tmp_path):
    params = make_params(height=32, width=64)
    with pytest.raises(ParamsError, match=r"reads pictures of 32x64.*has 16x32"):
        train(params, ["small", "demo"], make_dataset(tmp_path / "data"), tmp_path)


def test_scenes_in_turn_come_once_each_before_any_comes_again(tmp_path):
    make_dataset(tmp_path / "data", scenes=("a", "b", "c"))
    params = make_params().model_copy(update={"scene_order": "epochs"})
    steps = make_trainer(tmp_path, params).steps
    drawn = [steps.read(step).draw.scene_id for step in range(12)]
    for first in range(0, 12, 3):
        assert Counter(drawn[first : first + 3]) == Counter("abc")
    assert len({tuple(drawn[first : first + 3]) for first in range(0, 12, 3)}) > 1


def test_the_order_of_scenes_changes_no_draw_of_frames(tmp_path):
    make_dataset(tmp_path / "data", scenes=("a", "b", "c"))
    trainers = [
        make_trainer(tmp_path, make_params().model_copy(update={"scene_order": order}))
        for order in ("independent", "epochs")
    ]
    for step in range(4):
        one, other = (trainer.steps.read(step).draw for trainer in trainers)
        assert one.frames == other.frames


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_sampler_asked_by_step_gives_what_one_that_advances_gives(tmp_path, world_size):
    dataset = make_dataset(tmp_path / "data", scenes=("a", "b", "c"))
    for rank in range(world_size):
        given = {"seed": 7, "rank": rank, "world_size": world_size}
        asked, advanced = (SceneSampler(dataset, **given) for _ in range(2))
        for step in range(8):
            assert asked.at_step(step) == next(iter(advanced))
            advanced.advance()
