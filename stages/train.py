"""train: the dataset to a decoder, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress, silent
from lyra_model.batches.data_checks import open_for_training
from lyra_model.phases.phase_params import chosen_phases
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.states import Upkeep
from lyra_model.training.trackers import TrackerName
from lyra_model.training.train import train_phases
from stages.params import load_section, load_seed
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = TrainParams
LOOK_AT = "logs, states and pictures: .work/train; those of the end: reports/training"
NO_VALIDATION = "; no validation: the dataset has no scenes for it (package.validation_fraction)"


def run_train(
    params_file: Path,
    *,
    phase: str | None = None,
    device: str | None = None,
    trackers: Sequence[TrackerName] = (),
    dataset: str | None = None,
    cache_bytes: int | None = None,
    progress: Progress = silent,
    **upkeep: int,
) -> Summary:
    """Train one phase or all; `upkeep` has Upkeep's fields, and loader_workers."""
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "train", SECTION)
    names = chosen_phases(phase, params.phases, where="--phase")
    place = dataset or workspace.require(workspace.dataset, made_by="package")
    trained = train_phases(
        params,
        names,
        seed=load_seed(params_file),
        **(data := open_for_training(place, cache_bytes)),
        models=workspace.models,
        scratch=workspace.scratch,
        root=workspace.root,
        device=Placement.asked_for(device, "none", workspace.root).device,
        loader_workers=upkeep.pop("loader_workers", 0),
        upkeep=Upkeep(**upkeep),
        trackers=trackers,
        pictures=workspace.training_pictures,
        progress=progress,
    )
    last = {name: checkpoint.history[-1] for name, checkpoint in trained.items()}
    note = LOOK_AT + (NO_VALIDATION if len(data["validation"]) == 0 else "")
    headline = [f"{n}: loss {r['loss']:.4f} after {r['step']:.0f} steps" for n, r in last.items()]
    facts = {"phases": last, "num_validation_scenes": len(data["validation"])}
    return Summary("train", ", ".join(headline), facts, (note,))
