"""Training: the decoder, phase by phase, each from the checkpoint of the one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lyra_data.dataset.reader import SceneDataset
from lyra_data.errors import StageOrderError
from lyra_data.progress import Progress
from lyra_data.provenance import engine_commit
from lyra_model.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from lyra_model.data_checks import check_frames, codec_of
from lyra_model.phase_training import PhaseTrainer
from lyra_model.phases import RANDOM_WEIGHTS
from lyra_model.processes import accelerator
from lyra_model.train_params import TrainParams
from lyra_model.training_states import Upkeep


def train_phases(
    params: TrainParams,
    names: list[str],
    *,
    seed: int,
    dataset: SceneDataset,
    validation: SceneDataset,
    models: Path,
    scratch: Path,
    root: Path,
    upkeep: Upkeep,
    progress: Progress,
) -> dict[str, Checkpoint]:
    """Train phases in order and write each as `<models>/<name>`.

    Args:
        dataset: the scenes to train on.
        validation: scenes that are only looked at, none of them in `dataset`; may be empty.
        root: the folder that relative paths of weights start from.
        scratch: where states, logs and sample pictures lie.

    Raises:
        StageOrderError: the phase that one of them starts from has not been trained, or with
            another decoder or codec.
        ParamsError: the data is of another codec, has fewer frames than a phase asks for, or
            training diverged.
        CorruptDataError: a shard, a checkpoint or the newest state is cut or altered.
        StorageError: the disk is full or cannot be written; the last state stays in scratch.
    """
    codec = codec_of(params, dataset)
    trained = {}
    for name in names:
        check_frames(dataset, name, params.phases[name], params.held_out_frames)
    for name in names:
        is_fresh = params.phases[name].start_from == RANDOM_WEIGHTS
        start = None if is_fresh else _load_start(name, params, dataset, models)
        trainer = PhaseTrainer(
            params,
            name,
            seed=seed,
            dataset=dataset,
            codec=codec,
            start=start,
            scratch=scratch,
            upkeep=upkeep,
            validation=validation,
            root=root,
        )
        trained[name] = trainer.run(progress)
        config = {**trained[name].config, "trained_at_commit": engine_commit()}
        if trainer.is_main:
            save_checkpoint(replace(trained[name], config=config), models / name)
        accelerator().wait_for_everyone()  # the next phase starts from it
    return trained


def _load_start(name: str, params: TrainParams, dataset: SceneDataset, models: Path) -> Checkpoint:
    """The checkpoint that phase `name` begins with, trained with the decoder and codec of now."""
    start_from = params.phases[name].start_from
    folder = models / start_from
    fix = f"run `lyra-data train --phase {start_from}` first, or `dvc repro`"
    if not folder.is_dir():
        raise StageOrderError(
            f"phase {name!r} starts from {start_from!r}, which is not trained yet",
            where=str(folder),
            fix=fix,
        )
    start = load_checkpoint(folder)
    now = {
        **params.decoder.model_dump(mode="json"),
        "codec_fingerprint": dataset.codec.fingerprint,
    }
    then = {**start.config["decoder"], "codec_fingerprint": start.config["codec_fingerprint"]}
    changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    if changed:
        values = ", ".join(f"{key} = {then.get(key)} (now {now.get(key)})" for key in changed)
        raise StageOrderError(
            f"phase {start_from!r} was trained with {values}; {name!r} cannot go on from it",
            where=str(folder),
            fix=fix,
        )
    return start
