"""Two processes that train together, on the CPU by gloo."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.models.codecs import CODECS
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.view_sampling import sample_step
from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.processes import Processes
from lyra_model.training.states import Upkeep
from tests.unit.test_training import make_dataset, make_params
from tests.warm_processes import run_warm


def make_trainer(
    folder: Path, params: TrainParams | None = None, name: str = "small"
) -> PhaseTrainer:
    return PhaseTrainer(
        params or make_params(),
        name,
        seed=42,
        dataset=SceneDataset(folder / "data"),
        codec=CODECS.create({"name": "dct"}, where="test"),
        start=None,
        scratch=folder / "scratch",
        upkeep=Upkeep(),
        validation=SceneDataset(folder / "data", split="validation"),
        root=folder,
        processes=Processes("cpu"),
    )


def take_one_step(rank: str) -> None:
    """What each of two processes does; what comes of it is a file named after its rank."""
    trainer = make_trainer(Path())
    row = trainer.step(0)
    gradients = {n: p.grad for n, p in trainer.decoder.named_parameters() if p.grad is not None}
    torch.save((row, gradients), f"{rank}.pt")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_processes_have_the_gradient_of_one_that_sees_both_draws(tmp_path):
    make_dataset(tmp_path / "data", scenes=("a", "b"))
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    common |= {"MASTER_PORT": str(free_port()), "ACCELERATE_USE_CPU": "true"}
    with ThreadPoolExecutor(2) as threads:
        ended = threads.map(
            lambda rank: run_warm(
                take_one_step,
                str(rank),
                folder=tmp_path,
                variables=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            ),
            range(2),
        )
        for done in ended:
            assert done.returncode == 0, done.stderr
    saved = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    (first_row, gradients), (second_row, others) = saved
    assert first_row["loss"] == second_row["loss"]

    trainer = make_trainer(tmp_path)
    trainer.optimiser.zero_grad()
    losses = []
    for rank in range(2):
        draw = sample_step(
            seed=42,
            phase="small",
            step=0,
            scene_ids=trainer.loader.dataset.scene_ids,
            views_of=lambda scene_id: trainer.loader.load(scene_id).views,
            num_frames=9,
            held_out_frames=4,
            num_targets=2,
            bias="uniform",
            dynamic=False,
            rank=rank,
        )
        batch = trainer.loader.load(draw.scene_id)
        losses.append(trainer._backpropagate(batch, draw, 0)["loss"])
    for parameter in trainer.decoder.parameters():
        if parameter.grad is not None:
            parameter.grad /= 2
    torch.nn.utils.clip_grad_norm_(trainer.decoder.parameters(), 1.0)
    assert abs(sum(losses) / 2 - first_row["loss"]) < 1e-6
    for name, parameter in trainer.decoder.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)
            assert torch.equal(gradients[name], others[name])
