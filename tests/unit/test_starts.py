"""A phase may start from a checkpoint that comes from elsewhere, if it fits."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from lyra_data.engine.errors import CorruptDataError, InputError, ParamsError, StageOrderError
from lyra_model.decoder import DecoderParams
from lyra_model.phases.checkpoints import load_checkpoint
from lyra_model.phases.phase_params import chain_of, check_phases
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.released_decoder import convert_decoder
from lyra_model.training.starts import differences, load_start
from tests.unit.test_training import make_dataset, make_params, train

BROUGHT = "../../weights/brought"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose static phase `small` is trained."""
    folder = tmp_path_factory.mktemp("trained")
    train(make_params(), ["small"], make_dataset(folder / "data"), folder)
    return folder


def starting(**changes: object) -> TrainParams:
    """A project with one phase, which starts from a folder that was brought; `changes` go to its
    decoder."""
    params = make_params()
    phase = params.phases["demo"].model_copy(update={"start_from": BROUGHT})
    decoder = params.decoder.model_copy(update=changes)
    values = params.model_copy(update={"phases": {"demo": phase}, "decoder": decoder})
    return TrainParams.parse(values.model_dump(mode="json"), where="train")


def bring(trained: Path, root: Path) -> Path:
    """The checkpoint of `small`, put into another project."""
    shutil.copytree(trained / "models" / "small", root / "weights" / "brought")
    return root / "weights" / "brought"


def load(params: TrainParams, trained: Path, root: Path) -> dict[str, torch.Tensor]:
    dataset = make_dataset(root / "data")
    (root / "outputs" / "models").mkdir(parents=True)
    return load_start("demo", params, dataset, root / "outputs" / "models").weights


def test_a_dynamic_phase_starts_from_a_static_checkpoint_of_another_project(trained, tmp_path):
    folder = bring(trained, tmp_path)
    weights = load(starting(dynamic=True), trained, tmp_path)
    stored = load_file(folder / "model.safetensors")
    assert any(name.startswith("patch_time_embed_tgt.") for name in stored)
    assert weights.keys() == stored.keys()
    assert all(torch.equal(weights[name], stored[name]) for name in stored)


def test_a_phase_goes_on_from_what_was_brought_and_records_its_hash(trained, tmp_path):
    folder = bring(trained, tmp_path)
    made = train_there(starting(dynamic=True), tmp_path)
    assert made.config["started_from_weights"] == load_checkpoint(folder).config["weights_sha256"]
    started = load_file(folder / "model.safetensors")
    moved = [float((made.weights[name] - started[name]).abs().max()) for name in started]
    assert 0 < max(moved) < 0.05, "five steps from there, and not from random weights"


def test_a_damaged_checkpoint_is_told_with_what_brings_that_one_back(trained, tmp_path):
    for start_from, fix in (
        (BROUGHT, "copy the folder again"),
        ("small", "train --phase small` again"),
    ):
        root = tmp_path / start_from.split("/")[-1]
        folder = bring(trained, root)
        (root / "outputs" / "models").mkdir(parents=True)
        if start_from == "small":
            folder = folder.rename(root / "outputs" / "models" / "small")
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        params = starting()
        params.phases["demo"] = params.phases["demo"].model_copy(update={"start_from": start_from})
        with pytest.raises(CorruptDataError, match="cut or altered") as refused:
            load_start("demo", params, make_dataset(root / "data"), root / "outputs" / "models")
        assert fix in (refused.value.fix or "")


def train_there(params: TrainParams, root: Path):
    (root / "outputs" / "models").mkdir(parents=True)
    return train(params, ["demo"], make_dataset(root / "data"), root / "outputs")["demo"]


def test_every_difference_of_the_decoder_and_codec_is_listed(trained, tmp_path):
    bring(trained, tmp_path)
    with pytest.raises(InputError) as caught:
        load(starting(depth=3, distance_far=30.0, dynamic=True), trained, tmp_path)
    assert "depth = 2 (now 3)" in caught.value.what
    assert "distance_far = 12.0 (now 30.0)" in caught.value.what
    assert "dynamic" not in caught.value.what and "codec" not in caught.value.what


def test_a_static_phase_does_not_start_from_a_dynamic_one():
    assert differences({"dynamic": True}, {"dynamic": False}) == ["dynamic = True (now False)"]
    assert differences({"dynamic": False}, {"dynamic": True}) == []
    assert differences({"chunk_size": 64}, {"chunk_size": 16}) == []
    assert differences({"codec": "a"}, {"codec": "b"}) == ["codec = a (now b)"]


def converted(trained: Path, root: Path) -> Path:
    """As `lyra-data weights convert lyra` makes it of a released checkpoint."""
    weights = load_checkpoint(trained / "models" / "small").weights
    torch.save({"module": weights}, root / "lyra_static.pt")
    folder = root / "weights" / "brought"
    folder.parent.mkdir()
    convert_decoder(decoder=root / "lyra_static.pt", output=folder, dynamic=None)
    return folder


def load_converted(folder: Path, codec: str, **changes: object) -> dict[str, torch.Tensor]:
    decoder = DecoderParams(**load_checkpoint(folder).config["decoder"])
    params = starting().model_copy(update={"decoder": decoder.model_copy(update=changes)})
    dataset = SimpleNamespace(codec=SimpleNamespace(name=codec, fingerprint="of some weights"))
    models = folder.parent.parent / "outputs" / "models"
    models.mkdir(parents=True, exist_ok=True)
    return load_start("demo", params, dataset, models).weights  # pyright: ignore[reportArgumentType]


def test_a_phase_starts_from_converted_released_weights(trained, tmp_path):
    weights = load_converted(converted(trained, tmp_path), "cosmos", dynamic=True)
    own = load_checkpoint(trained / "models" / "small").weights
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name]) for name in own)


def test_converted_weights_of_another_decoder_or_codec_are_refused(trained, tmp_path):
    folder = converted(trained, tmp_path)
    with pytest.raises(InputError) as caught:
        load_converted(folder, "dct", depth=1, d_state=8)
    for told in ("depth = 2 (now 1)", "d_state = 16 (now 8)", "codec = cosmos (now dct)"):
        assert told in caught.value.what


def test_cut_converted_weights_are_refused(trained, tmp_path):
    path = converted(trained, tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        load(starting(), trained, tmp_path)


def test_a_missing_folder_is_refused_and_a_path_from_params_yaml_is_put_right(trained, tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        load(starting(), trained, tmp_path / "nothing")
    bring(trained, tmp_path)
    params = starting()
    phase = params.phases["demo"].model_copy(update={"start_from": "weights/brought"})
    with pytest.raises(InputError, match=r"write \.\./\.\./weights/brought"):
        load(params.model_copy(update={"phases": {"demo": phase}}), trained, tmp_path)


def test_an_absolute_path_is_refused_since_dvc_could_not_follow_it():
    params = starting()
    phase = params.phases["demo"].model_copy(update={"start_from": "/weights/brought"})
    with pytest.raises(ParamsError, match="outputs/models"):
        check_phases({"demo": phase})


def test_the_chain_of_a_phase_begins_behind_what_was_brought():
    assert chain_of("demo", starting().phases) == ["demo"]


def test_a_phase_of_another_decoder_within_a_project_asks_for_training_it(trained, tmp_path):
    params = make_params()
    decoder = params.decoder.model_copy(update={"dim": 64})
    with pytest.raises(StageOrderError, match=r"dim = 32 \(now 64\)") as caught:
        dataset = make_dataset(tmp_path / "data")
        changed = params.model_copy(update={"decoder": decoder})
        load_start("demo", changed, dataset, trained / "models")
    assert "lyra-data train --phase small" in str(caught.value.fix)
