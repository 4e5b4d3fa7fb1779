"""Training on a GPU: what a CPU trains, in GPU memory, and resumable."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.states import Upkeep, load_state
from tests.unit.test_processes import make_trainer
from tests.unit.test_training import KilledError, make_dataset, make_params, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_first_step_has_the_loss_and_the_gradient_norm_that_a_cpu_gives(
    tmp_path: Path, precision: str
) -> None:
    make_dataset(tmp_path / "data")
    rows = []
    for device in ("cuda", "cpu"):
        params = make_params(precision=precision)
        trainer = make_trainer(tmp_path, params, "demo", device)
        assert {p.device.type for p in trainer.update.decoder.parameters()} == {device}
        rows.append(trainer.step(0))
    on_gpu, on_cpu = rows
    tolerance = 1e-3 if precision == "float32" else 3e-2
    assert on_gpu["loss"] == pytest.approx(on_cpu["loss"], rel=tolerance)
    assert on_gpu["gradient_norm"] == pytest.approx(on_cpu["gradient_norm"], rel=10 * tolerance)


def test_a_killed_phase_goes_on_from_a_state_in_the_cpu_s_memory(tmp_path, monkeypatch) -> None:
    dataset, step = make_dataset(tmp_path / "data"), PhaseTrainer.step

    def step_until_the_third(self: PhaseTrainer, index: int):
        if index == 2:
            raise KilledError
        return step(self, index)

    monkeypatch.setattr(PhaseTrainer, "step", step_until_the_third)
    with pytest.raises(KilledError):
        train(make_params(), ["small"], dataset, tmp_path, device="cuda")
    monkeypatch.setattr(PhaseTrainer, "step", step)
    (path,) = tmp_path.glob("scratch/train/*/state_*.pt")
    state = load_state(path, without_it="")
    assert {tensor.device.type for tensor in state.decoder.values()} == {"cpu"}
    made = train(make_params(), ["small"], dataset, tmp_path, device="cuda")["small"]
    assert [row["step"] for row in made.history] == [1, 2, 3]
    assert {tensor.device.type for tensor in made.weights.values()} == {"cpu"}


def test_validation_scores_and_draws_on_the_gpu(tmp_path: Path) -> None:
    splits = {"a": "train", "b": "validation"}
    dataset = make_dataset(tmp_path / "data", scenes=("a", "b"), splits=splits)
    train(make_params(), ["small"], dataset, tmp_path, device="cuda", upkeep=Upkeep())
    assert len(list(tmp_path.glob("scratch/train/*/samples/*/b/grid.png"))) == 1
