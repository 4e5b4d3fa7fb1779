"""Train the decoder phase by phase, each from the checkpoint of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.locks import held_lock
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import engine_commit
from lyra_model.batches.data_checks import codec_of, in_space_of, readable_frames
from lyra_model.phases.checkpoints import Checkpoint, save_checkpoint
from lyra_model.phases.phase_params import RANDOM_WEIGHTS
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.assembly import TrainingData, TrainingSite, create_phase_trainer
from lyra_model.training.processes import Processes
from lyra_model.training.starts import load_start
from lyra_model.training.states import Upkeep
from lyra_model.training.trackers import TrackerName, require_trackers
from lyra_model.training.visualiser import Visualiser


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
    device: str,
    trackers: Sequence[TrackerName] = (),
    loader_workers: int = 0,
    pictures: Path | None = None,
    progress: Progress,
) -> dict[str, Checkpoint]:
    """Train phases in order and write each as `<models>/<name>`.

    Args:
        dataset: the scenes to train on.
        validation: scenes that are only looked at, none of them in `dataset`; may be empty.
        root: the folder that relative paths of weights start from.
        scratch: where states, logs and pictures of scenes lie.
        device: where decoder and codec run, as torch spells it.
        trackers: what shows the log's figures besides.
        loader_workers: processes that read steps ahead for each one that trains; 0: a thread.
        pictures: where those of every phase's end go, in a folder of its name; None: they stay in
            scratch.

    Raises:
        StageOrderError: the phase that one of them starts from has not been trained, or with
            another decoder or codec.
        InputError: a tracker is not installed, or a folder from elsewhere that a phase starts from
            is missing or of another decoder or codec.
        MemoryShortageError: a step needs more memory than there is.
        ParamsError: the data is of another codec, has fewer frames than a phase asks for, or
            training diverged.
        CorruptDataError: a shard, a checkpoint or the newest state is cut or altered.
        StorageError: the disk is full or cannot be written; the last state stays in scratch.
        BusyError: another process trains one of the phases, with the same scratch folder.
        ExecutorError: a process that reads steps died, or there is not enough shared memory.
    """
    require_trackers(trackers)
    processes = Processes(device)
    codec = codec_of(params, Placement(str(processes.device), root=root))
    dataset, validation = (in_space_of(codec, scenes) for scenes in (dataset, validation))
    data = TrainingData(dataset, validation, codec)
    site = TrainingSite(scratch, root, upkeep, trackers, loader_workers, Visualiser)
    trained = {}
    for name in names:
        readable_frames(dataset, name, params.phases[name], params.held_out_frames)
    for name in names:
        lock = held_lock(scratch, f"train {name}") if processes.is_main else nullcontext()
        with lock:
            is_fresh = params.phases[name].start_from == RANDOM_WEIGHTS
            start = None if is_fresh else load_start(name, params, dataset, models)
            trainer = create_phase_trainer(
                params, name, seed=seed, data=data, start=start, site=site, processes=processes
            )
            trained[name] = trainer.run(progress)
            config = {**trained[name].config, "trained_at_commit": engine_commit()}
            if processes.is_main:
                save_checkpoint(replace(trained[name], config=config), models / name)
                if pictures is not None:
                    last = params.phases[name].steps
                    trainer.files.pictures.publish(last, pictures / name)
        processes.wait()  # the next phase starts from it
    return trained
