"""train: the dataset to a decoder, phase by phase."""

from __future__ import annotations

from pathlib import Path

from lyra_data.dataset.reader import SceneDataset
from lyra_data.progress import Progress, silent
from lyra_model.phases import require_phase
from lyra_model.train_params import TrainParams
from lyra_model.training import train_phases
from lyra_model.training_states import Upkeep
from stages.params import load_section, load_seed
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = TrainParams


def run_train(
    params_file: Path,
    *,
    phase: str | None = None,
    checkpoint_steps: int = 25,
    keep_states: int = 2,
    keep_every: int = 0,
    progress: Progress = silent,
) -> Summary:
    """Train one phase, or all of them in order. See `lyra-data train --help`."""
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "train", SECTION)
    names = list(params.phases)
    if phase is not None:
        names = [require_phase(phase, params.phases, where="--phase")]
    trained = train_phases(
        params,
        names,
        seed=load_seed(params_file),
        dataset=SceneDataset(
            workspace.require(workspace.dataset, made_by="package"), split="train"
        ),
        models=workspace.models,
        scratch=workspace.scratch,
        upkeep=Upkeep(checkpoint_steps, keep_states, keep_every),
        progress=progress,
    )
    last = {name: checkpoint.history[-1] for name, checkpoint in trained.items()}
    return Summary(
        "train",
        ", ".join(
            f"{name}: loss {row['loss']:.4f} after {row['step']:.0f} steps"
            for name, row in last.items()
        ),
        {"phases": last},
    )
