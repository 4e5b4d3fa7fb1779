"""Build the trainer of a phase: the only place that knows every part of training."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.hashing import content_key
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.seeds import derive_seed
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_model.batches.data_checks import perceptual_of
from lyra_model.batches.input_shape import InputShape, input_shape
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.read_ahead import ReadAhead
from lyra_model.batches.step_reader import StepData, StepReader
from lyra_model.batches.step_source import StepSetup
from lyra_model.batches.worker_steps import WorkerSteps
from lyra_model.decoder import create_decoder
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.decoder_update import DecoderUpdate
from lyra_model.training.phase_files import PhaseFiles
from lyra_model.training.phase_trainer import PhaseSettings, PhaseTrainer
from lyra_model.training.processes import Processes
from lyra_model.training.record import record_of
from lyra_model.training.starts import Start
from lyra_model.training.states import Upkeep
from lyra_model.training.trackers import TrackerName
from lyra_model.training.validation import Validator

if TYPE_CHECKING:
    from lyra_model.phases.phase_params import PhaseParams
    from lyra_model.rendering.base import RenderingParams
    from lyra_model.training.visualiser import Visualiser

    CreateVisualiser = Callable[
        [StepReader, str, PhaseParams, RenderingParams, Sequence[str]], Visualiser
    ]

MOST_CACHED_BYTES = 4 << 30
"""Bytes of scenes in the memory of one process, however much there is."""

DRAWN_SCENES = 2
"""Most scenes that are drawn, the first of the validation split: each time the same ones. Drawing
one takes as long as 2 to 4 steps of the demo's phases."""


@dataclass(frozen=True)
class TrainingData:
    """The scenes that training reads, and their codec.

    Attributes:
        scenes: those to train on.
        validation: scenes that are only looked at, none of them in `scenes`; may be empty.
        codec: the one that made the latents of both.
    """

    scenes: SceneDataset
    validation: SceneDataset
    codec: LatentCodec


@dataclass(frozen=True)
class TrainingSite:
    """The folders that training keeps its states and logs in, and how often it does.

    None of it changes a result.

    Attributes:
        scratch: where states, the log and pictures lie, in `train/<key>`.
        root: the folder of params.yaml, which relative paths of weights start from.
        upkeep: how often something is kept.
        trackers: what shows the log's figures besides.
        loader_workers: processes that read steps ahead for this one; 0: a thread of it does.
        create_visualiser: makes what draws scenes; None: nothing is drawn. It is given and not
            imported here, so that keys do not name the code that draws: it changes no weight.
    """

    scratch: Path
    root: Path
    upkeep: Upkeep
    trackers: Sequence[TrackerName] = ()
    loader_workers: int = 0
    create_visualiser: CreateVisualiser | None = None


def create_phase_trainer(
    params: TrainParams,
    name: str,
    *,
    seed: int,
    data: TrainingData,
    start: Start | None,
    site: TrainingSite,
    processes: Processes,
) -> PhaseTrainer:
    """Build everything that phase `name` needs, ready to run.

    Args:
        start: the weights of the phase it starts from; None: weights drawn from the seed.
        processes: those that train together, and the device of this one.

    Raises:
        ParamsError: the data has fewer frames than the phase asks for, or the weights of loss
            `lpips` are missing or wrong.
    """
    phase = params.phases[name]
    perceptual, perceptual_record = None, None
    if phase.losses.lpips > 0:
        perceptual, perceptual_record = perceptual_of(params, phase, site.root)
        perceptual.to(processes.device)
    record = record_of(
        params,
        name,
        seed,
        data.scenes,
        start,
        perceptual_record,
        num_processes=processes.num_processes,
    )
    code = code_fingerprint(__name__, CODECS.module_chosen_by(params.codec))
    key = content_key({"config": record, "code": code})
    folder = site.scratch / "train" / key
    files = PhaseFiles(folder, site.root.name, site.upkeep, site.trackers)
    shape, validation_shape = (
        input_shape(name, phase, params.decoder, dataset, held_out_frames=params.held_out_frames)
        if len(dataset)
        else None
        for dataset in (data.scenes, data.validation)
    )
    assert shape is not None, "training needs scenes"
    reader = step_reader(data.scenes, data.codec, shape, processes.device)
    setup = StepSetup(
        params, name, seed, data.scenes, shape, processes.rank, processes.num_processes
    )
    validator, visualiser = None, None
    if site.upkeep.validation_steps:
        if validation_shape is not None:
            scenes, drawn = data.validation, data.validation.scene_ids[:DRAWN_SCENES]
            looking = step_reader(scenes, data.codec, validation_shape, processes.device)
            validator = Validator(looking, phase, params.rendering, perceptual)
        else:
            # A copy: the dataset itself is read by the thread that reads ahead.
            scenes, drawn = copy.deepcopy(data.scenes), data.scenes.scene_ids[:1]
            looking = step_reader(scenes, data.codec, shape, processes.device)
        if site.create_visualiser is not None:
            visualiser = site.create_visualiser(looking, name, phase, params.rendering, drawn)
    return PhaseTrainer(
        PhaseSettings(name, phase, params.decoder, record),
        steps=steps_ahead(setup, reader, site.loader_workers),
        reader=reader,
        update=decoder_update(params, name, seed, start, perceptual, processes),
        files=files,
        validator=validator,
        visualiser=visualiser,
        processes=processes,
    )


def step_reader(
    dataset: SceneDataset, codec: LatentCodec, shape: InputShape, device: torch.device
) -> StepReader:
    """Build a reader with a cache of this process's share of memory."""
    cache: PartCache[Any] = PartCache(cache_bytes())
    return StepReader(dataset, codec, shape, device=device, cache=cache)


def cache_bytes() -> int:
    """Return what a reader may keep of scenes.

    It is an eighth of this machine's memory, shared by the processes that train on it together, and
    MOST_CACHED_BYTES at most.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MOST_CACHED_BYTES, memory // 8 // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def steps_ahead(setup: StepSetup, reader: StepReader, num_workers: int) -> ReadAhead[StepData]:
    """Build what reads the steps of a phase ahead, in a thread or by worker processes."""
    if num_workers == 0:
        return ReadAhead(setup.source(reader).read, num_steps=setup.num_steps)
    steps = WorkerSteps(setup, num_workers=num_workers, cache_bytes=cache_bytes())
    return ReadAhead(steps.read, num_steps=setup.num_steps, end=steps.close)


def decoder_update(
    params: TrainParams,
    name: str,
    seed: int,
    start: Start | None,
    perceptual: PerceptualNetwork | None,
    processes: Processes,
) -> DecoderUpdate:
    """Build the decoder with its first weights, on this process's device, and its optimiser."""
    phase = params.phases[name]
    decoder = create_decoder(params.decoder, seed=derive_seed(seed, "decoder", "initial weights"))
    decoder.gradient_checkpointing = phase.gradient_checkpointing
    if start is not None:
        decoder.load_state_dict(start.weights, strict=True)
    network = processes.spread(decoder)
    optimiser = torch.optim.AdamW(  # after `spread`, which may replace the parameters
        decoder.parameters(),
        lr=phase.learning_rate,
        betas=params.optimiser.betas,
        weight_decay=params.optimiser.weight_decay,
    )
    return DecoderUpdate(
        decoder,
        network,
        optimiser,
        phase=phase,
        rendering=params.rendering,
        max_gradient_norm=params.optimiser.max_gradient_norm,
        perceptual=perceptual,
        processes=processes,
    )
