"""Two processes that train together, on the CPU by gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.models.codecs import CODECS
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.view_sampling import StepSeed, TargetSampling, draw_step
from lyra_model.training.assembly import TrainingData, TrainingSite, create_phase_trainer
from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.processes import Processes
from lyra_model.training.states import Upkeep
from tests.goldens import REPOSITORY
from tests.unit.test_training import make_dataset, make_params

ONE_STEP = """
import sys
from pathlib import Path
import torch
from tests.unit.test_processes import make_trainer
folder = Path(sys.argv[1])
trainer = make_trainer(folder)
row = trainer.step(0)
rank = sys.argv[2]
gradients = {n: p.grad for n, p in trainer.update.decoder.named_parameters() if p.grad is not None}
torch.save((row, gradients), folder / f"{rank}.pt")
"""


def make_trainer(
    folder: Path, params: TrainParams | None = None, name: str = "small", device: str = "cpu"
) -> PhaseTrainer:
    data = TrainingData(
        SceneDataset(folder / "data"),
        SceneDataset(folder / "data", split="validation"),
        CODECS.create({"name": "dct"}, where="test"),
    )
    return create_phase_trainer(
        params or make_params(),
        name,
        seed=42,
        data=data,
        start=None,
        site=TrainingSite(folder / "scratch", folder, Upkeep()),
        processes=Processes(device),
    )


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_two_processes_have_the_gradient_of_one_that_sees_both_draws(tmp_path):
    make_dataset(tmp_path / "data", scenes=("a", "b"))
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    common |= {"MASTER_PORT": str(free_port()), "ACCELERATE_USE_CPU": "true"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_STEP, str(tmp_path), str(rank)],
            cwd=REPOSITORY,
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    saved = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    (first_row, gradients), (second_row, others) = saved
    assert first_row["loss"] == second_row["loss"]

    trainer = make_trainer(tmp_path)
    decoder, reader = trainer.update.decoder, trainer.reader
    trainer.update.optimiser.zero_grad()
    losses = []
    for rank in range(2):
        draw = draw_step(
            StepSeed(42, "small", 0, rank),
            TargetSampling(
                num_frames=9, held_out_frames=4, num_targets=2, bias="uniform", dynamic=False
            ),
            reader.dataset.scene_ids,
            lambda scene_id: reader.views(scene_id).listed,
        )
        losses.append(trainer.update.backpropagate(reader.batch(reader.read(draw)))["loss"])
    for parameter in decoder.parameters():
        if parameter.grad is not None:
            parameter.grad /= 2
    torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
    assert abs(sum(losses) / 2 - first_row["loss"]) < 1e-6
    for name, parameter in decoder.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)
            assert torch.equal(gradients[name], others[name])
