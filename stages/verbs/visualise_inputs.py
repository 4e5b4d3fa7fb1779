"""visualise, continued: the checkpoint, the dataset and the scenes that are to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from lyra_data.clips.formats.export_folders import require_free
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import CorruptDataError, InputError, ParamsError
from lyra_data.engine.names import checked_name, is_number, is_safe_name
from lyra_data.engine.params import suggestion
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs.base import LatentCodec
from lyra_model.batches.input_shape import input_shape
from lyra_model.batches.step_reader import StepReader
from lyra_model.decoder import create_decoder
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.evaluation.trained_phases import TrainedPhase
from lyra_model.phases.checkpoint_locations import checkpoint_folder, hub_uri
from lyra_model.phases.checkpoints import CONFIG, Checkpoint, load_checkpoint
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.assembly import codec_named
from lyra_model.rendering.base import RenderingParams
from lyra_model.training.assembly import step_reader
from lyra_model.training.step_pictures import holds_pictures_alone
from stages.params import load_section
from stages.workspace import Workspace

DRAWN_SCENES = 4
"""Most scenes that are drawn where none is chosen."""


@dataclass(frozen=True)
class Choices:
    """Choices of the command line; see `lyra-data visualise --help`."""

    checkpoint: str
    scenes: tuple[str, ...] = ()
    output: Path | None = None
    dataset: str | None = None
    params: Path | None = None
    device: str | None = None


@dataclass(frozen=True)
class Opened:
    """All that drawing needs.

    Attributes:
        decoder: with its weights, on its device.
        reader: of the dataset, for this decoder.
        scene_ids: the scenes to draw, one or more.
        output: a folder that may be written.
        origin: what pictures.json says of the checkpoint and the dataset.
    """

    trained: TrainedPhase
    decoder: GaussianDecoder
    rendering: RenderingParams
    reader: StepReader
    scene_ids: tuple[str, ...]
    output: Path
    origin: dict[str, Any]


def opened(choices: Choices) -> Opened:
    """Open and check everything before anything is computed; raises as `run_visualise`."""
    folder, params_file = _located(choices)
    root = Path() if params_file is None else params_file.parent
    workspace = Workspace(root)
    checkpoint = load_checkpoint(folder)
    trained = _trained(checkpoint, folder)
    output = choices.output or workspace.reports / "visualised" / _own_name(
        choices, folder, trained
    )
    if not holds_pictures_alone(output):
        require_free(output)
    rendering, held_out_frames = _settings_besides(checkpoint, trained.name)
    placement = Placement.asked_for(choices.device, "none", root.resolve())
    codec = _codec_of(checkpoint, params_file, placement)
    dataset = _in_space_of(codec, _dataset(choices, workspace), checkpoint)
    scene_ids = choose_scenes(dataset, choices.scenes)
    decoder = create_decoder(trained.decoder)
    decoder.load_state_dict(checkpoint.weights, strict=True, assign=True)
    return Opened(
        trained,
        decoder.to(placement.device).eval().requires_grad_(False),
        rendering,
        _reader(trained, held_out_frames, dataset, codec, placement),
        scene_ids,
        output,
        {
            "checkpoint": str(folder),
            "weights_sha256": checkpoint.config["weights_sha256"],
            "dataset": dataset.uri,
            "dataset_hash": dataset.manifest.dataset_hash,
        },
    )


def _located(choices: Choices) -> tuple[Path, Path | None]:
    """Return the checkpoint's folder, and the params.yaml of its project where there is one.

    Raises:
        InputError: there is no such checkpoint.
    """
    name, here = choices.checkpoint, choices.params or Path("params.yaml")
    of_project = Workspace(here.parent).models / name
    if is_safe_name(name) and not Path(name).is_dir() and of_project.is_dir():
        folder = of_project
    else:
        folder = checkpoint_folder(name)
    if not (folder / CONFIG).is_file():
        inside = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
        raise InputError(
            f"this folder holds no checkpoint (no {CONFIG})",
            where=str(folder),
            fix=f"name one of {', '.join(str(folder / one) for one in inside)}"
            if inside
            else "give the folder of a trained phase, outputs/models/PHASE",
        )
    if choices.params is not None:
        return folder, choices.params
    own = folder.resolve().parent.parent.parent / "params.yaml"
    return folder, next((file for file in (own, here) if file.is_file()), None)


def _own_name(choices: Choices, folder: Path, trained: TrainedPhase) -> str:
    """Return the name of a checkpoint's folder; of one in the Hub's cache that of its phase.

    Raises:
        CorruptDataError: the phase's name is none of a folder.
    """
    if hub_uri(choices.checkpoint) is None:
        return folder.resolve().name
    return checked_name(trained.name, noun="phase", where=str(folder / CONFIG))


def _trained(checkpoint: Checkpoint, folder: Path) -> TrainedPhase:
    """Return the phase of a checkpoint.

    Raises:
        InputError: it is of released weights, which name no phase.
        CorruptDataError: another release wrote its settings.
    """
    if checkpoint.config.get("phase") is None:
        raise InputError(
            "these are released weights, and they do not say what pictures they were trained on",
            where=str(folder),
            fix=f"reconstruct scenes by them: `lyra-data reconstruct INPUT --weights {folder}`",
        )
    return TrainedPhase.of(str(checkpoint.config.get("phase_name") or folder.name), checkpoint)


def _settings_besides(checkpoint: Checkpoint, name: str) -> tuple[RenderingParams, int]:
    """Return how training rendered, and how many last frames of every view it held out.

    Raises:
        CorruptDataError: another release wrote the checkpoint.
    """
    held_out_frames = checkpoint.config.get("held_out_frames")
    try:
        rendering = RenderingParams.parse(checkpoint.config.get("rendering"), where="rendering")
        if type(held_out_frames) is not int or held_out_frames < 1:
            raise ParamsError(f"held_out_frames is {held_out_frames!r}")
    except ParamsError as error:
        raise CorruptDataError(
            f"written by another release: {error.what}",
            where=f"the configuration of phase {name}",
            fix=f"run `lyra-data train --phase {name}` again",
        ) from None
    return rendering, held_out_frames


def _dataset(choices: Choices, workspace: Workspace) -> SceneDataset:
    """Open the dataset that is named, or the project's.

    Raises:
        InputError: none is named, and the project has none.
    """
    if choices.dataset is None and not workspace.dataset.is_dir():
        raise InputError(
            "there is no dataset to draw scenes of",
            where=str(workspace.dataset),
            fix="run `lyra-data package` first, or name a dataset: --dataset FOLDER",
        )
    return SceneDataset(choices.dataset or workspace.dataset)


def _codec_of(
    checkpoint: Checkpoint, params_file: Path | None, placement: Placement
) -> LatentCodec:
    """Return the codec of a checkpoint, with the weights that the project names."""
    settings = None
    if params_file is not None:
        settings = load_section(params_file, "train", TrainParams).codec
    return codec_named(str(checkpoint.config.get("codec")), settings, placement)


def _in_space_of(codec: LatentCodec, dataset: SceneDataset, checkpoint: Checkpoint) -> SceneDataset:
    """Return the dataset, its latents read as the codec's.

    Raises:
        InputError: another codec made them, or another than the checkpoint's.
    """
    read, trained_on = dataset.in_space_of(codec), checkpoint.config.get("codec_fingerprint")
    if read is not None and trained_on in (None, read.codec.fingerprint):
        return read
    raise InputError(
        f"its latents are of codec {dataset.codec.name} ({dataset.codec.fingerprint}), and the "
        f"checkpoint was trained on those of {codec.name} ({trained_on})",
        where=dataset.uri,
        fix="give a dataset of that codec: --dataset FOLDER",
    )


def choose_scenes(dataset: SceneDataset, chosen: Sequence[str]) -> tuple[str, ...]:
    """Return the scenes to draw, in the dataset's order.

    Args:
        chosen: numbers of scenes, names, or patterns of names; empty: DRAWN_SCENES of the
            validation split, or the first scene where it is empty.

    Raises:
        InputError: a name fits no scene, a number is 0, or the dataset is empty.
    """
    if not len(dataset):
        raise InputError("it holds no scene", where=dataset.uri, fix="package some scenes")
    validation = [scene.scene_id for scene in dataset.scenes if scene.split == "validation"]
    if not chosen:
        return tuple(validation[:DRAWN_SCENES] or dataset.scene_ids[:1])
    names = set()
    for name in chosen:
        if is_number(name):
            fitting = (validation or dataset.scene_ids)[: int(name)]
        else:
            fitting = [scene for scene in dataset.scene_ids if fnmatchcase(scene, name)]
        if not fitting:
            raise InputError(
                f"{name!r} chooses no scene",
                where="--scenes",
                fix=suggestion(name, dataset.scene_ids[:50]),
            )
        names |= set(fitting)
    return tuple(scene for scene in dataset.scene_ids if scene in names)


def _reader(
    trained: TrainedPhase,
    held_out_frames: int,
    dataset: SceneDataset,
    codec: LatentCodec,
    placement: Placement,
) -> StepReader:
    """Build the reader of a dataset for this decoder.

    Raises:
        InputError: its views are shorter or smaller than what the decoder reads.
    """
    try:
        shape = input_shape(
            trained.name,
            trained.phase,
            trained.decoder,
            dataset,
            held_out_frames=held_out_frames,
        )
    except ParamsError as error:
        raise InputError(
            error.what, where=dataset.uri, fix="give a dataset of larger or longer views: --dataset"
        ) from None
    return step_reader(dataset, codec, shape, torch.device(placement.device))
