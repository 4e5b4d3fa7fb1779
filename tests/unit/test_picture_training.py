"""Training and loading a decoder that is also given pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_data.models.codecs import create_codec
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.batches.input_shape import input_shape
from lyra_model.batches.loading import SceneLoader
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.step_reader import StepReader
from lyra_model.decoder.pictures.inputs import InputPictures, picture_positions
from lyra_model.phases.shipped import SHIPPED, shipped_checkpoint
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.trained_decoder import load_decoder
from lyra_model.phases.view_sampling import StepDraw
from tests.factories import make_view
from tests.pipeline.project import tiny_params
from tests.unit.test_picture_decoder import PICTURES
from tests.unit.test_training import make_dataset, train

CODEC = create_codec("dct")


def params(**losses) -> TrainParams:
    values = tiny_params()["train"]
    values["decoder"]["pictures"] = {**PICTURES, "reads_latents": True}
    for phase in values["phases"].values():
        phase |= {"height": 16, "width": 32, "steps": 3, "prune_ratio": 0.0}
        phase["losses"] = {**phase["losses"], "opacity": 0.0, "picture_depth": 0.1, **losses}
    return TrainParams.parse(values, where="train")


def pictures_of(inputs) -> InputPictures:
    assert inputs.pictures is not None
    return inputs.pictures


def test_steps_and_whole_scenes_give_the_decoder_the_same_pictures(tmp_path: Path) -> None:
    dataset, chosen = make_dataset(tmp_path / "data"), params()
    phase = chosen.phases["small"]
    shape = input_shape("small", phase, chosen.decoder, dataset, held_out_frames=4)
    device = torch.device("cpu")
    reader = StepReader(dataset, CODEC, shape, device=device, cache=PartCache(1 << 24))
    for read in ((0, 1), (1,)):
        draw = StepDraw("a", ((0, 2), (1, 5)), None, read)
        of_step = pictures_of(reader.batch(reader.read(draw)).inputs)
        loader = SceneLoader(dataset, CODEC, shape, device=device)
        whole = loader.batch_of("a", dataset.scene("a"))
        of_scene = pictures_of(loader.inputs_at(loader.reading(whole, read), None))
        assert of_step.frames == of_scene.frames
        for name in ("rgb", "camera_to_world", "intrinsics"):
            torch.testing.assert_close(getattr(of_step, name), getattr(of_scene, name))
        assert of_step.depth is not None and float(of_step.depth.max()) > 0
        assert of_scene.depth is None  # who judges gives the decoder no depth


def test_training_makes_a_decoder_that_loads_and_reads_views(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    made = train(params(), ["small", "demo"], dataset, tmp_path / "run")["demo"]
    losses = [row["loss"] for row in made.history]
    assert all(loss == pytest.approx(loss) for loss in losses)
    assert {"picture_depth", "image"} <= set(made.history[0])
    from lyra_model.phases.checkpoints import save_checkpoint

    save_checkpoint(made, tmp_path / "saved")
    decoder = load_decoder(tmp_path / "saved", device="cpu")
    view = make_view(num_frames=17, height=32, width=48, codec_fingerprint=CODEC.fingerprint)
    gaussians = decoder.reconstruct([view], CODEC)
    pixels = unit_from_bytes(view.frames[list(picture_positions(9, 2))])
    assert len(gaussians) == len(pixels) * 32 * 48
    move = torch.eye(4)
    move[:3, 3] = torch.tensor([1.0, -2.0, 3.0])
    cameras = replace(view.cameras, camera_to_world=move @ view.cameras.camera_to_world)
    moved = decoder.reconstruct([replace(view, cameras=cameras)], CODEC)
    torch.testing.assert_close(moved.means, gaussians.means + move[:3, 3], atol=1e-3, rtol=1e-4)


def test_the_loss_of_pictures_depth_is_refused_without_pictures_and_with_pruning() -> None:
    values = tiny_params()["train"]
    values["phases"]["small"]["losses"]["picture_depth"] = 0.1
    with pytest.raises(ParamsError, match=r"picture_depth is above 0.*no pictures"):
        TrainParams.parse(values, where="train")
    values["decoder"]["pictures"] = PICTURES
    values["phases"]["small"]["prune_ratio"] = 0.5
    with pytest.raises(ParamsError, match="picture_depth compares the Gaussian of every pixel"):
        TrainParams.parse(values, where="train")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_load_by_their_name_and_are_small(name: str) -> None:
    folder = shipped_checkpoint(name)
    assert folder is not None
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20_000_000
    decoder = load_decoder(name, device="cpu")
    assert decoder.codec_name == "dct" and decoder.codec_fingerprint == CODEC.fingerprint


def test_a_folder_comes_before_shipped_weights_of_its_name(tmp_path, monkeypatch) -> None:
    from lyra_model.phases.checkpoint_locations import checkpoint_folder

    monkeypatch.chdir(tmp_path)
    assert checkpoint_folder("cpu-small") == shipped_checkpoint("cpu-small")
    (tmp_path / "cpu-small").mkdir()
    assert checkpoint_folder("cpu-small") == Path("cpu-small")
