"""What every process of `accelerate launch` runs in tests: train, go on from a state, keep weights.

accelerate launch ... -m tests.trains_together FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.states import Upkeep
from tests.unit.test_training import make_params, train


def main(folder: Path) -> None:
    """Three steps, then the third again from the state after the second: of each, this process's
    weights, and what share of all numbers it held. Validation scenes are looked at, which all
    processes have to take part in under FSDP."""
    shares = []
    step = PhaseTrainer.step

    def step_and_weigh(self: PhaseTrainer, index: int) -> dict[str, Any]:
        parameters = list(self.update.decoder.parameters())
        held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in parameters)
        shares.append(held / sum(p.numel() for p in parameters))
        return step(self, index)

    PhaseTrainer.step = step_and_weigh
    params = make_params(steps=3, gradient_checkpointing=True)
    weights = {}
    for name in ("whole", "resumed"):
        upkeep = Upkeep(checkpoint_steps=2, validation_steps=2)
        dataset = SceneDataset(folder / "data", split="train")
        made = train(params, ["small"], dataset, folder / "run", upkeep=upkeep)
        weights[name] = made["small"].weights
    weights["share"] = {"held": torch.tensor(shares)}
    torch.save(weights, folder / f"weights_{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
