"""Training and evaluating a decoder of moving scenes: moments in, and reversed views never read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import silent
from lyra_data.models.codecs import CODECS
from lyra_data.scene.view import View
from lyra_model.batches.loading import SceneLoader
from lyra_model.decoder import create_decoder
from lyra_model.phases.train_params import TrainParams
from lyra_model.rendering import render
from lyra_model.training.states import Upkeep
from lyra_model.training.train import train_phases
from tests.factories import make_view
from tests.pipeline.project import tiny_params
from tests.unit.test_training import scene_loader, whole_scene

HEIGHT, WIDTH, NUM_FRAMES, HELD_OUT = 16, 32, 17, 4


def brightening_view(index: int, *, motion_reversed: bool) -> View:
    """A view of a scene that grows from dark to bright, its latents made of its own frames."""
    codec = CODECS.create({"name": "dct"}, where="test")
    view = make_view("a", index, NUM_FRAMES, HEIGHT, WIDTH, codec_fingerprint=codec.fingerprint)
    level = torch.linspace(0.1, 0.9, NUM_FRAMES)
    level = level.flip(0) if motion_reversed else level
    frames = (255 * level).round().to(torch.uint8).reshape(-1, 1, 1, 1).expand(view.frames.shape)
    video = frames.permute(1, 0, 2, 3).float() / 127.5 - 1.0
    return replace(
        view,
        frames=frames.contiguous(),
        latents=codec.encode(video),
        motion_reversed=motion_reversed,
    )


def make_dataset(folder: Path, *, directions: tuple[bool, ...]) -> SceneDataset:
    views = [
        brightening_view(index, motion_reversed=backwards)
        for index, backwards in enumerate(directions)
    ]
    write_dataset(views, folder, splits=None, scenes_per_shard=1, provenance={})
    return SceneDataset(folder)


def make_params(*, steps: int, **decoder: object) -> TrainParams:
    values = tiny_params()["train"]
    values["decoder"] |= {"dynamic": True, **decoder}
    values["phases"] = {"small": values["phases"]["small"]}
    values["phases"]["small"] |= {
        "height": HEIGHT,
        "width": WIDTH,
        "steps": steps,
        "num_target_frames": 4,
        "learning_rate": 3e-3,
        "final_learning_rate": 3e-3,
        "warmup_steps": 3,
    }
    return TrainParams.parse(values, where="train")


def loader_of(dataset: SceneDataset, *, dynamic: bool = True) -> SceneLoader:
    return scene_loader(dataset, dynamic=dynamic)


@pytest.fixture
def dataset(tmp_path: Path) -> SceneDataset:
    return make_dataset(tmp_path / "data", directions=(False, True, False, True))


def test_reversed_views_are_targets_and_never_inputs(dataset: SceneDataset) -> None:
    loader = loader_of(dataset)
    batch = whole_scene(loader)
    assert batch.inputs.num_views == 2
    assert batch.views.forward == [0, 2]
    latents = torch.cat([view.latents[:, :2] for view in dataset.scene("a")[::2]], dim=1)
    assert torch.equal(batch.inputs.latents[0], latents.transpose(0, 1))
    assert len(batch.targets) == 4


def test_a_frame_of_a_reversed_view_carries_the_moment_it_shows(dataset: SceneDataset) -> None:
    batch = whole_scene(loader_of(dataset))
    brightness = [target.rgb.mean((1, 2, 3)) for target in batch.targets]
    for target, shown in zip(batch.targets, brightness, strict=True):
        assert torch.equal(shown, brightness[0][target.times.long()])


def test_moments_change_what_a_dynamic_decoder_reads_and_nothing_of_a_still_one(
    dataset: SceneDataset,
) -> None:
    loader = loader_of(dataset)
    batch = whole_scene(loader)
    early, late = (loader.inputs_at(batch, time).time_latents for time in (0.0, 8.0))
    assert early is not None and late is not None
    assert torch.equal(early[:, :-1], late[:, :-1])  # the inputs' own times
    assert not torch.equal(early[:, -1], late[:, -1])
    still = loader_of(dataset, dynamic=False)
    assert still.inputs_at(whole_scene(still), None).time_latents is None


@pytest.mark.slow
def test_a_dynamic_decoder_learns_what_the_scene_looks_like_at_each_moment(
    dataset: SceneDataset, tmp_path: Path
) -> None:
    params = make_params(steps=120)
    trained = train_phases(
        params,
        ["small"],
        seed=42,
        dataset=dataset,
        validation=SceneDataset(dataset.uri, split="validation"),
        models=tmp_path / "models",
        scratch=tmp_path / "scratch",
        root=tmp_path,
        device="cpu",
        upkeep=Upkeep(checkpoint_steps=1000, validation_steps=0),
        progress=silent,
    )["small"]
    decoder = create_decoder(params.decoder)
    decoder.load_state_dict(trained.weights, assign=True)
    loader = loader_of(dataset)
    batch = whole_scene(loader)
    brightness = []
    for time in (0.0, 8.0):
        with torch.no_grad():
            (gaussians,) = decoder(loader.inputs_at(batch, time), prune_ratio=0.0)
            shown = render(gaussians, batch.targets[0].cameras[[0]], params.rendering)
        brightness.append(float(shown.rgb.mean()))
    assert brightness[1] - brightness[0] > 0.15  # 0.1 and 0.5 in the pictures


def test_a_scene_without_forward_views_is_refused(tmp_path: Path) -> None:
    backwards = make_dataset(tmp_path / "data", directions=(True, True))
    with pytest.raises(InputError, match="none shows the motion forwards") as caught:
        whole_scene(loader_of(backwards))
    assert "generate.quality" in str(caught.value)
