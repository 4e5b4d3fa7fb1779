from __future__ import annotations

import itertools
import math

import pytest
import torch
import yaml

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import BusyError, CorruptDataError, ParamsError, StageOrderError
from lyra_data.engine.locks import held_lock
from lyra_data.engine.progress import silent
from lyra_data.models.codecs import CODECS
from lyra_data.scene.frame_selection import mirrored
from lyra_model.batches.input_shape import InputShape
from lyra_model.batches.loading import SceneBatch, SceneLoader
from lyra_model.phases.phase_params import check_phases, learning_rate
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.states import Upkeep
from lyra_model.training.train import train_phases
from tests.factories import make_view
from tests.pipeline.project import tiny_params

HEIGHT, WIDTH, NUM_FRAMES = 16, 32, 17


def make_params(**changes) -> TrainParams:
    """The tiny project's two phases at 16x32 pixels; `changes` go to the second one."""
    values = tiny_params()["train"]
    values["phases"]["small"] |= {"height": HEIGHT, "width": WIDTH, "steps": 3}
    values["phases"]["demo"] |= {"height": HEIGHT, "width": WIDTH, "steps": 5, **changes}
    return TrainParams.parse(values, where="train")


def make_dataset(
    folder,
    *,
    last_frames_value: int | None = None,
    scenes: tuple[str, ...] = ("a",),
    splits: dict[str, str] | None = None,
    height: int = HEIGHT,
) -> SceneDataset:
    """Two views of each scene; optionally other values in every held-out frame."""
    codec = CODECS.create({"name": "dct"}, where="test")
    views = []
    for place, (scene, index) in enumerate(itertools.product(scenes, range(2))):
        view = make_view(
            scene,
            index,
            NUM_FRAMES,
            height,
            WIDTH,
            codec_fingerprint=codec.fingerprint,
            seed=place // 2,
        )
        frames = view.frames.clone()
        if last_frames_value is not None:
            frames[-4:] = last_frames_value
        video = frames.permute(1, 0, 2, 3).float() / 127.5 - 1.0
        views.append(type(view)(**{**vars(view), "frames": frames, "latents": codec.encode(video)}))
    write_dataset(views, folder, splits=splits, scenes_per_shard=1, provenance={})
    return SceneDataset(folder, split="train")


def train(params, names, dataset, folder, *, upkeep=None, validation=None, device="cpu", **options):
    return train_phases(
        params,
        names,
        seed=42,
        dataset=dataset,
        validation=validation or SceneDataset(dataset.uri, split="validation"),
        models=folder / "models",
        scratch=folder / "scratch",
        root=folder,
        device=device,
        upkeep=upkeep or Upkeep(checkpoint_steps=2, validation_steps=0),
        progress=silent,
        **options,
    )


def shape_of(
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
    num_frames: int = 9,
    readable: int = NUM_FRAMES,
    dynamic: bool = False,
) -> InputShape:
    frames = tuple(mirrored(num_frames, min(num_frames, readable)))
    return InputShape(height, width, frames, scene_scale=1.0, dynamic=dynamic)


def scene_loader(dataset: SceneDataset, **shape) -> SceneLoader:
    codec = CODECS.create({"name": "dct"}, where="test")
    return SceneLoader(dataset, codec, shape_of(**shape), device=torch.device("cpu"))


def whole_scene(loader: SceneLoader, scene_id: str = "a") -> SceneBatch:
    return loader.batch_of(scene_id, loader.dataset.scene(scene_id))


def assert_same_weights(one, other) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


class KilledError(Exception):
    """Stands for a kill: nothing of the trainer runs after it."""


def test_a_resumed_phase_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, monkeypatch):
    dataset, params = make_dataset(tmp_path / "data"), make_params()
    whole = train(params, ["small", "demo"], dataset, tmp_path / "whole")
    step = PhaseTrainer.step

    def step_until_the_fourth(self, index):
        if self.name == "demo" and index == 3:
            raise KilledError
        return step(self, index)

    monkeypatch.setattr(PhaseTrainer, "step", step_until_the_fourth)
    with pytest.raises(KilledError):
        train(params, ["small", "demo"], dataset, tmp_path / "cut")
    steps_done = []
    monkeypatch.setattr(
        PhaseTrainer, "step", lambda self, index: (steps_done.append(index), step(self, index))[1]
    )
    resumed = train(params, ["demo"], dataset, tmp_path / "cut")
    assert steps_done == [2, 3, 4]  # the last state was kept after two steps
    assert_same_weights(resumed["demo"], whole["demo"])
    assert resumed["demo"].history == whole["demo"].history


def test_a_state_of_other_settings_is_never_resumed_from(tmp_path, monkeypatch):
    dataset = make_dataset(tmp_path / "data")
    train(make_params(), ["small", "demo"], dataset, tmp_path)
    steps_done = []
    step = PhaseTrainer.step
    monkeypatch.setattr(
        PhaseTrainer, "step", lambda self, index: (steps_done.append(index), step(self, index))[1]
    )
    train(make_params(learning_rate=5e-4), ["demo"], dataset, tmp_path)
    assert steps_done == [0, 1, 2, 3, 4]


def test_a_phase_starts_from_the_weights_of_the_one_before(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    still = make_params(learning_rate=1e-12, final_learning_rate=0.0)
    trained = train(still, ["small", "demo"], dataset, tmp_path)
    for name, tensor in trained["small"].weights.items():
        torch.testing.assert_close(trained["demo"].weights[name], tensor, rtol=1e-5, atol=1e-7)


def test_training_lowers_the_loss(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    params = make_params(steps=40, learning_rate=3e-3, final_learning_rate=3e-3)
    history = train(params, ["small", "demo"], dataset, tmp_path)["demo"].history
    first, last = (sum(row["loss"] for row in part) for part in (history[:5], history[-5:]))
    assert last < 0.9 * first


def test_held_out_frames_have_no_influence_on_training(tmp_path):
    """Neither as latents nor as targets: other pictures there give the very same weights."""
    one = make_dataset(tmp_path / "one")
    other = make_dataset(tmp_path / "other", last_frames_value=255)
    assert one.manifest.dataset_hash != other.manifest.dataset_hash
    weights = [
        train(make_params(), ["small"], dataset, tmp_path / name)["small"]
        for name, dataset in (("a", one), ("b", other))
    ]
    assert_same_weights(*weights)


def test_the_opacity_loss_moves_the_opacities(tmp_path):
    """Losses on the Gaussians themselves get through the deferred back-propagation."""
    dataset = make_dataset(tmp_path / "data")
    losses = {
        "image": 0.0,
        "ssim": 0.0,
        "depth": 0.0,
        "metric_depth": 0.0,
        "opacity": 1.0,
        "lpips": 0,
    }
    params = make_params(losses={**losses, "reference": False}, steps=8, learning_rate=3e-3)
    history = train(params, ["small", "demo"], dataset, tmp_path)["demo"].history
    assert history[-1]["opacity"] < history[0]["opacity"]


def test_a_phase_before_the_one_it_starts_from_is_refused_with_the_command_to_run(tmp_path):
    with pytest.raises(StageOrderError, match="lyra-data train --phase small"):
        train(make_params(), ["demo"], make_dataset(tmp_path / "data"), tmp_path)


def test_a_phase_may_not_read_held_out_frames(tmp_path):
    params = make_params(num_frames=17)
    with pytest.raises(ParamsError, match="take at most 9"):
        train(params, ["small", "demo"], make_dataset(tmp_path / "data"), tmp_path)


def test_a_cut_training_state_is_refused_and_not_deleted(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    train(make_params(), ["small"], dataset, tmp_path)
    (state,) = (tmp_path / "scratch" / "train").glob("*/state_*.pt")
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CorruptDataError, match=r"state_00000002\.pt"):
        train(make_params(), ["small"], dataset, tmp_path)
    assert state.is_file()


def test_the_learning_rate_rises_and_falls_as_the_phase_says():
    phase = make_params(
        steps=100, warmup_steps=10, learning_rate=1e-3, final_learning_rate=1e-4
    ).phases["demo"]
    rates = [learning_rate(phase, step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-4, rel=1e-2)
    assert max(rates) == rates[9] or max(rates) == rates[10]
    assert rates[-1] == pytest.approx(1e-4)
    constant = phase.model_copy(update={"final_learning_rate": 1e-3})
    assert learning_rate(constant, 60) == pytest.approx(1e-3)


def test_phases_must_name_a_phase_before_them():
    phases = dict(reversed(make_params().phases.items()))
    with pytest.raises(ParamsError, match="names no phase that comes before it"):
        check_phases(phases)


def test_latents_at_another_size_know_nothing_of_later_frames(tmp_path):
    """Frames are resized and encoded again; the held-out ones must not be in them."""
    inputs = [
        whole_scene(
            scene_loader(
                make_dataset(tmp_path / name, last_frames_value=value), height=16, width=16
            )
        ).inputs
        for name, value in (("one", None), ("other", 255))
    ]
    assert torch.equal(inputs[0].latents, inputs[1].latents)
    assert inputs[0].latents.shape == (1, 2 * 2, 16, 2, 2)


def test_the_history_has_a_finite_row_for_every_step(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    history = train(make_params(), ["small"], dataset, tmp_path)["small"].history
    assert [row["step"] for row in history] == [1.0, 2.0, 3.0]
    assert all(math.isfinite(value) for row in history for value in row.values())


def test_the_committed_params_are_valid():
    from tests.goldens import REPOSITORY

    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["train"]
    assert list(TrainParams.parse(values, where="train").phases) == ["small", "demo"]


def test_a_scene_beyond_the_decoder_s_distances_is_refused_with_the_range(tmp_path):
    values = tiny_params()["train"]
    values["decoder"] |= {"distance_near": 50.0, "distance_far": 90.0}
    values["phases"]["small"] |= {"height": HEIGHT, "width": WIDTH}
    params = TrainParams.parse(values, where="train")
    with pytest.raises(ParamsError, match="outside 50 to 90"):
        train(params, ["small"], make_dataset(tmp_path / "data"), tmp_path)


def test_a_phase_is_not_trained_twice_at_once(tmp_path) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    with (
        held_lock(tmp_path / "scratch", "train small"),
        pytest.raises(BusyError, match="train small is being done here already, by process"),
    ):
        train(make_params(), ["small"], dataset, tmp_path)
    assert not (tmp_path / "models").exists()
