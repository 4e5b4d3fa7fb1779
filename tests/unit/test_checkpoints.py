from __future__ import annotations

import json

import pytest
import torch

from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import sha256_of_folder
from lyra_model.phases.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


def make_checkpoint() -> Checkpoint:
    return Checkpoint(
        weights={"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(1)},
        config={"phase_name": "small", "seed": 7},
        history=[{"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": 0.25}],
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save_checkpoint(make_checkpoint(), tmp_path / "small")
    loaded = load_checkpoint(tmp_path / "small")
    for name, tensor in make_checkpoint().weights.items():
        torch.testing.assert_close(loaded.weights[name], tensor, rtol=0, atol=0)
    assert loaded.history == make_checkpoint().history
    assert loaded.config["seed"] == 7


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        save_checkpoint(make_checkpoint(), tmp_path / name)
    assert sha256_of_folder(tmp_path / "one") == sha256_of_folder(tmp_path / "two")


@pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "config.json"])
@pytest.mark.parametrize("damage", ["cut", "missing", "altered"])
def test_a_damaged_checkpoint_is_refused_and_named(tmp_path, name, damage):
    folder = tmp_path / "small"
    save_checkpoint(make_checkpoint(), folder)
    path = folder / name
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    with pytest.raises(CorruptDataError) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)
    assert "lyra-data train" in str(caught.value)


def test_another_format_version_is_refused(tmp_path):
    save_checkpoint(make_checkpoint(), tmp_path / "small")
    path = tmp_path / "small" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(CorruptDataError, match="99"):
        load_checkpoint(tmp_path / "small")


@pytest.mark.parametrize("text", [b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_configuration_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(CorruptDataError, match="not a readable checkpoint configuration"):
        load_checkpoint(tmp_path)
