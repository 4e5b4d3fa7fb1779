"""Lyra's released decoders, converted: what comes of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from lyra_data.models.weights.manifest import read_manifest
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.phases.checkpoints import load_checkpoint
from lyra_model.training.released_decoder import RELEASED, params_of
from stages.cli import app
from tests.unit.test_decoder import scene_inputs

TINY = RELEASED.model_copy(
    update={
        "dim": 16,
        "depth": 4,
        "attention_every": 2,
        "mlp_ratio": 2,
        "d_state": 4,
        "d_conv": 3,
        "expand": 3,
        "headdim": 8,
    }
)
"""Of the released build and of no released length: every one of them shows in the shapes."""


def convert(decoder: Path, output: Path, *options: str) -> tuple[int, str]:
    arguments = ["weights", "convert", "lyra", "--decoder", str(decoder), "--output", str(output)]
    result = CliRunner().invoke(app, [*arguments, *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def release(folder: Path, name: str = "lyra_static.pt") -> tuple[Path, dict[str, Tensor]]:
    """A file as published, its weights random."""
    generator = torch.Generator().manual_seed(3)
    weights = {
        key: 0.1 * torch.randn(meta.shape, generator=generator)
        for key, meta in create_decoder(TINY).state_dict().items()
    }
    torch.save({"module": weights, "global_step": 83_000}, folder / name)
    return folder / name, weights


def test_the_released_settings_follow_from_the_released_shapes():
    decoder = create_decoder(RELEASED)
    shapes = {name: tuple(tensor.shape) for name, tensor in decoder.state_dict().items()}
    assert len(shapes) == 254
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 32_753_996
    assert params_of(shapes) == RELEASED


@pytest.mark.parametrize("name", ["lyra_static.pt", "lyra_dynamic.pt"])
def test_a_converted_release_is_a_checkpoint_that_a_decoder_loads_strictly(tmp_path, name):
    file, weights = release(tmp_path, name)
    code, text = convert(file, tmp_path / "lyra")
    assert code == 0, text
    checkpoint = load_checkpoint(tmp_path / "lyra")
    assert all(torch.equal(checkpoint.weights[key], weights[key]) for key in weights)
    dynamic = name == "lyra_dynamic.pt"
    params = DecoderParams.parse(checkpoint.config["decoder"], where="decoder")
    assert params == TINY.model_copy(update={"dynamic": dynamic})
    decoder = create_decoder(params)
    decoder.load_state_dict(checkpoint.weights, strict=True, assign=True)
    with torch.no_grad():
        (early,) = decoder(scene_inputs(target_time=0.0), prune_ratio=0.8)
        (late,) = decoder(scene_inputs(target_time=8.0), prune_ratio=0.8)
    assert bool(early.means.isfinite().all())
    assert torch.equal(early.means, late.means) is not dynamic


def test_verify_vouches_for_a_converted_decoder_and_notices_a_changed_byte(tmp_path):
    file, _ = release(tmp_path)
    assert convert(file, tmp_path / "lyra")[0] == 0
    assert "decoder/lyra_static.pt" in read_manifest(tmp_path / "lyra").sources
    verify = ["weights", "verify", str(tmp_path / "lyra")]
    assert CliRunner().invoke(app, verify).exit_code == 0
    model = tmp_path / "lyra" / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    assert CliRunner().invoke(app, verify).exit_code == 2


def test_every_difference_from_a_decoder_is_listed_and_nothing_is_written(tmp_path):
    file, weights = release(tmp_path)
    del weights["enc_blocks.2.mamba.out_proj.weight"]
    weights["deconv.weight"] = torch.zeros(16, 13, 9, 2, 2)
    weights["lpips.net.weight"] = torch.zeros(2)
    torch.save({"module": weights}, file)
    code, text = convert(file, tmp_path / "lyra")
    assert code == 2
    assert "1 missing, 1 unexpected, 1 misshapen" in text
    assert "enc_blocks.2.mamba.out_proj.weight" in text
    assert "[16, 13, 9, 2, 2]" in text and "[16, 12, 9, 2, 2]" in text
    assert "lpips.net.weight" in text
    assert not (tmp_path / "lyra").exists()


def test_a_file_whose_name_tells_neither_static_nor_dynamic_needs_the_option(tmp_path):
    file, _ = release(tmp_path, "model.pt")
    code, text = convert(file, tmp_path / "lyra")
    assert code == 2 and "--static" in text
    assert convert(file, tmp_path / "lyra", "--dynamic")[0] == 0
    assert load_checkpoint(tmp_path / "lyra").config["decoder"]["dynamic"] is True


def test_an_existing_folder_is_not_overwritten(tmp_path):
    file, _ = release(tmp_path)
    (tmp_path / "lyra").mkdir()
    code, text = convert(file, tmp_path / "lyra")
    assert code == 2 and "is there already" in text
