"""Folders of other decoders than the published ones are compared, or skipped with a reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conformance.base import check_entry, find_entry
from tests.conformance.made_models import FORWARD, WEIGHTS, make_model_folder, write_index

DESCRIBED = {"enc_embed_dim": 64, "enc_num_heads": 4, "enc_depth": 8, "key_order": ["a", "b"]}


@pytest.fixture
def folder(tmp_path):
    return make_model_folder(tmp_path / "made", DESCRIBED)


def check(folder, file=FORWARD):
    return check_entry(find_entry(folder, file), folder)


def describe(folder, **changes):
    """Change what INDEX.json says of the weights."""
    index = json.loads((folder / "INDEX.json").read_text())
    index["entries"][0]["params"] |= changes
    write_index(folder, index["entries"])


@pytest.mark.parametrize(
    "described",
    [
        DESCRIBED,
        {"enc_embed_dim": 32, "enc_num_heads": 1, "enc_depth": 9},
        {"enc_embed_dim": 48, "enc_num_heads": 6, "enc_depth": 3, "headdim": 32, "d_state": 16},
    ],
    ids=["wide", "one head, a block more", "other states"],
)
def test_width_heads_and_depth_are_those_of_the_weights_entry(tmp_path, described):
    folder = make_model_folder(tmp_path / "made", described)
    result = check(folder)
    assert result.ok, str(result)


def test_a_wrong_number_of_heads_fails(folder):
    describe(folder, enc_num_heads=2)
    assert check(folder).failures[0].startswith("tokens out:")


def test_weights_of_parts_that_no_released_model_has_are_skipped_with_their_names(folder):
    weights = load_file(folder / WEIGHTS)
    weights["enc_blocks.7.attn.q_norm.weight"] = torch.ones(16)
    save_file(weights, folder / WEIGHTS)
    result = check(folder)
    assert result.status == "skip" and "attn.q_norm.weight" in str(result.skipped)


def test_missing_weights_are_no_reason_to_skip(folder):
    weights = load_file(folder / WEIGHTS)
    del weights["enc_norm.weight"]
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(RuntimeError, match=r"Missing key\(s\).*enc_norm.weight"):
        check(folder)


def test_configurations_that_no_released_model_has_are_skipped(folder):
    entry = {"file": "model/config_variants.json", "kind": "model", "tolerance": {}, "params": {}}
    (folder / entry["file"]).write_text(json.dumps({"qk_norm": {"state_dict": []}}))
    result = check_entry(entry, folder)
    assert result.status == "skip" and "no released model" in str(result.skipped)


@pytest.mark.parametrize("setting", [{"scan_type": "single"}, {"bias": True}, {"ngroups": 2}])
def test_blocks_that_no_released_model_has_are_skipped_with_their_settings(tmp_path, setting):
    (tmp_path / "mamba").mkdir()
    np.savez(tmp_path / "mamba" / "block.npz", in_x=np.zeros((1, 4, 32), np.float32))
    defaults = {"scan_type": "bi", "bias": False, "ngroups": 1}
    params = {"d_model": 32, "defaults": defaults, **setting}
    entry = {"file": "mamba/block.npz", "kind": "mamba", "tolerance": {}, "params": params}
    result = check_entry(entry, tmp_path)
    assert result.status == "skip" and str(setting) in str(result.skipped)
