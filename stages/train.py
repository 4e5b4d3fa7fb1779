"""train: the dataset to a decoder, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lyra_data.dataset.files.range_cache import cache_folder
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress, silent
from lyra_model.phases.phase_params import require_phase
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.states import Upkeep
from lyra_model.training.trackers import TrackerName
from lyra_model.training.train import train_phases
from stages.params import load_section, load_seed
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = TrainParams


def run_train(
    params_file: Path,
    *,
    phase: str | None = None,
    device: str | None = None,
    trackers: Sequence[TrackerName] = (),
    loader_workers: int = 0,
    dataset: str | None = None,
    cache_bytes: int | None = None,
    progress: Progress = silent,
    **upkeep: int,
) -> Summary:
    """Train one phase or all; `upkeep` are Upkeep's fields. See `lyra-data train --help`.

    Args:
        dataset: a folder or an address; None: the project's own.
        cache_bytes: what may be kept of a dataset from afar; 0: nothing; None: as usual.
    """
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "train", SECTION)
    names = [phase] if phase is not None else list(params.phases)
    for name in names:
        require_phase(name, params.phases, where="--phase")
    scenes = SceneDataset(
        dataset or workspace.require(workspace.dataset, made_by="package"),
        cache_dir=None if cache_bytes == 0 else cache_folder(),
        cache_bytes=cache_bytes,
    )
    validation = scenes.in_split("validation")
    trained = train_phases(
        params,
        names,
        seed=load_seed(params_file),
        dataset=scenes.in_split("train"),
        validation=validation,
        models=workspace.models,
        scratch=workspace.scratch,
        root=workspace.root,
        device=Placement.asked_for(device, "none", workspace.root).device,
        upkeep=Upkeep(**upkeep),
        trackers=trackers,
        loader_workers=loader_workers,
        pictures=workspace.training_pictures,
        progress=progress,
    )
    last = {name: checkpoint.history[-1] for name, checkpoint in trained.items()}
    note = "logs, states and pictures: .work/train; those of the end: reports/training"
    if len(validation) == 0:
        note += "; no validation: the dataset has no scenes for it (package.validation_fraction)"
    headline = [f"{n}: loss {r['loss']:.4f} after {r['step']:.0f} steps" for n, r in last.items()]
    facts = {"phases": last, "num_validation_scenes": len(validation)}
    return Summary("train", ", ".join(headline), facts, (note,))
