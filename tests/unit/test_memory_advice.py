"""Where memory is refused, the message names the settings that would need less."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lyra_data.engine.errors import LyraError, MemoryShortageError
from lyra_model.decoder.decoder import GaussianDecoder
from tests.unit.test_training import make_dataset, make_params, train


def train_where_the_decoder(does, folder: Path, monkeypatch, **changes: object) -> LyraError:
    """The error of a phase whose decoder, in the fifth step, does this."""
    forward, calls = GaussianDecoder.forward, []

    def forward_until_the_fifth(self, inputs, *, prune_ratio):
        calls.append(None)
        return does() if len(calls) == 5 else forward(self, inputs, prune_ratio=prune_ratio)

    monkeypatch.setattr(GaussianDecoder, "forward", forward_until_the_fifth)
    with pytest.raises(LyraError) as caught:
        train(make_params(**changes), ["small", "demo"], make_dataset(folder / "data"), folder)
    return caught.value


def refused_by_the_cpu() -> torch.Tensor:
    return torch.empty(2**60, dtype=torch.uint8)  # an exbibyte


def refused_by_a_gpu() -> torch.Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has ...")


def refused_by_python() -> torch.Tensor:
    raise MemoryError


@pytest.mark.parametrize("does", [refused_by_the_cpu, refused_by_a_gpu, refused_by_python])
def test_out_of_memory_names_the_step_and_the_settings_with_their_values(
    tmp_path, monkeypatch, does
):
    error = train_where_the_decoder(does, tmp_path, monkeypatch)
    assert isinstance(error, MemoryShortageError)
    assert "step 2 of phase 'demo'" in error.what and "\n" not in error.what
    assert error.where == "params.yaml: train.phases.demo"
    for advice in (
        "gradient_checkpointing: true (now false)",
        "precision: bfloat16 (now float32)",
        "chunk_size (now 64)",
        "max_views (now all)",
        "num_frames (now 9)",
        "height and width (now 16x32)",
    ):
        assert advice in str(error.fix)


def test_what_is_set_already_is_not_advised(tmp_path, monkeypatch):
    changes = {"gradient_checkpointing": True, "precision": "bfloat16"}
    error = train_where_the_decoder(refused_by_a_gpu, tmp_path, monkeypatch, **changes)
    assert "gradient_checkpointing" not in str(error.fix)
    assert "precision" not in str(error.fix)


def test_other_faults_stay_what_they_are(tmp_path, monkeypatch):
    def fault() -> None:
        raise RuntimeError("shapes do not match")

    forward = GaussianDecoder.forward
    monkeypatch.setattr(GaussianDecoder, "forward", lambda *args, **options: fault())
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(make_params(), ["small"], make_dataset(tmp_path / "data"), tmp_path)
    assert forward is not GaussianDecoder.forward
