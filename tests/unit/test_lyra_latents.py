"""Latents of Lyra's released data: kept normalised, read as those of codec `cosmos`, trained on."""

from __future__ import annotations

import math
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_data.dataset.convert.latent_array import NORMALISED
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.models.codecs import CODECS, create_codec
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.codecs.latent_spaces import view_in_space_of
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.states import Upkeep
from lyra_model.training.train import train_phases
from tests.conversions import convert, write_back
from tests.factories_gen3c import tiny_vae
from tests.lyra_layout import HEIGHT, WIDTH, latents_of, read_loader_way, write_clip
from tests.pipeline.project import tiny_params

COSMOS = {"name": "cosmos", "weights": "weights/tiny/vae"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of the codec, and a dataset of two clips in Lyra's layout."""
    folder = tmp_path_factory.mktemp("lyra")
    tiny_vae().save_pretrained(folder / COSMOS["weights"])
    for index in range(2):
        write_clip(folder / "source", index)
    convert(folder / "source", folder / "data")
    return folder


@pytest.fixture(scope="module")
def codec(root: Path) -> LatentCodec:
    made = CODECS.create(COSMOS, where="test")
    made.run_on(Placement("cpu", root=root))
    return made


def expected(index: int) -> torch.Tensor:
    """x / .5 * std + mean, per channel and latent frame: item 24 of what the reference does."""
    statistics = LatentStatistics.of(tiny_vae())
    mean, std = (part[:, :3, None, None] for part in (statistics.mean, statistics.std))
    return torch.from_numpy(latents_of(index)[0]) / 0.5 * std + mean


def test_latents_are_read_as_the_codec_makes_them_and_kept_as_they_were_saved(root, codec) -> None:
    stored = SceneDataset(root / "data")
    dataset = stored.in_space_of(codec)
    assert dataset is not None and stored.codec == NORMALISED
    assert (dataset.codec.name, dataset.codec.fingerprint) == ("cosmos", codec.fingerprint)
    for view in dataset.scene(0):
        assert view.latents.dtype == torch.float32
        assert torch.allclose(view.latents, expected(view.view_index), rtol=1e-6, atol=1e-6)
        assert (view.provenance["codec"], view.provenance["codec_fingerprint"]) == (
            "cosmos",
            codec.fingerprint,
        )
    lean = pickle.loads(pickle.dumps(dataset))[0].read(latents=[1], frames={1: [0]})
    assert lean.latents[1].dtype == torch.float32
    assert torch.allclose(lean.latents[1], expected(1), rtol=1e-6, atol=1e-6)
    assert torch.equal(stored.scene(0)[1].latents, torch.from_numpy(latents_of(1)[0]))


def test_what_was_read_so_still_goes_back_to_the_bit(root, codec, tmp_path) -> None:
    assert SceneDataset(root / "data").in_space_of(codec) is not None
    write_back(root / "data", tmp_path / "back")
    for index in range(2):
        saved = read_loader_way(tmp_path / "back" / "static", index)["latent"]
        assert saved.tobytes() == latents_of(index).tobytes()


def test_a_view_is_brought_to_the_codec_once(root, codec) -> None:
    (view, *_) = SceneDataset(root / "data").scene(0)
    read = view_in_space_of(view, codec)
    assert read is not None and torch.allclose(read.latents, expected(0), rtol=1e-6, atol=1e-6)
    assert view_in_space_of(read, codec) is read
    assert view_in_space_of(view, create_codec("dct")) is None


def test_more_latent_frames_than_there_are_statistics_of_are_refused(root, codec) -> None:
    (view, *_) = SceneDataset(root / "data").scene(0)
    with pytest.raises(InputError, match=r"17 latent frames.*are of 16 and 16") as caught:
        view_in_space_of(replace(view, latents=torch.zeros(16, 17, 2, 2)), codec)
    assert "at most 121 frames" in str(caught.value.fix)


def params(codec: dict[str, str]) -> TrainParams:
    values = tiny_params()["train"]
    values["codec"] = codec
    size = {"height": HEIGHT, "width": WIDTH, "steps": 1}
    values["phases"] = {"small": values["phases"]["small"] | size}
    return TrainParams.parse(values, where="train")


def train(root: Path, output: Path, codec: dict[str, str]):
    return train_phases(
        params(codec),
        ["small"],
        seed=1,
        dataset=SceneDataset(root / "data", split="train"),
        validation=SceneDataset(root / "data", split="validation"),
        models=output / "models",
        scratch=output / "scratch",
        root=root,
        device="cpu",
        upkeep=Upkeep(validation_steps=0),
        progress=silent,
    )["small"]


def test_a_phase_trains_on_lyras_layout(root, codec, tmp_path) -> None:
    trained = train(root, tmp_path, COSMOS)
    assert (trained.config["codec"], trained.config["codec_fingerprint"]) == (
        "cosmos",
        codec.fingerprint,
    )
    assert trained.history[-1]["step"] == 1 and math.isfinite(trained.history[-1]["loss"])


@pytest.mark.parametrize(
    ("named", "fix"),
    [
        (
            {"name": "cosmos", "weights": "weights/tokenizer/vae"},
            r"pull cosmos-tokenizer && lyra-data weights convert cosmos-tokenizer --output \S*/"
            "weights/tokenizer`",
        ),
        (
            {"name": "cosmos", "weights": "weights/other"},
            "convert cosmos-tokenizer`, and name weights/cosmos-tokenizer/vae",
        ),
        ({"name": "dct"}, "name: cosmos, weights: weights/cosmos-tokenizer/vae"),
    ],
)
def test_without_the_statistics_one_command_gets_them(root, tmp_path, named, fix) -> None:
    with pytest.raises(ParamsError) as caught:
        train(root, tmp_path, named)
    assert re.search(fix, str(caught.value.fix)), caught.value.fix
    assert not (tmp_path / "models").exists()
