"""Starts: the weights that a phase begins with, and whether they fit what it is now.

`start_from` names a folder of outputs/models: that of a phase before, or, by a path with "/" in it,
one that was brought from elsewhere: a checkpoint of another project, or what `lyra-data weights
convert lyra` made of a released one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lyra_data.dataset.reader import SceneDataset
from lyra_data.errors import CorruptDataError, InputError, StageOrderError
from lyra_data.hashing import sha256_of_file
from lyra_data.weights.manifest import MANIFEST, read_manifest
from lyra_model.checkpoints import CONFIG, WEIGHTS, load_checkpoint
from lyra_model.decoder import create_decoder
from lyra_model.phases import is_external
from lyra_model.train_params import TrainParams

CONVERTED_KIND = "lyra-decoder"
"""Of weights.json, as `lyra-data weights convert lyra` writes it."""

HARMLESS = ("chunk_size",)
"""Settings of the decoder that change rounding alone."""

MAX_LISTED = 12
"""Misfitting tensors that a message names; it counts the others."""


@dataclass(frozen=True)
class Start:
    """What a phase begins with.

    Attributes:
        weights: state dict of the decoder.
        weights_sha256: of their file.
    """

    weights: dict[str, Tensor]
    weights_sha256: str


def load_start(name: str, params: TrainParams, dataset: SceneDataset, models: Path) -> Start:
    """The weights that phase `name` begins with.

    A dynamic decoder may start from a still one, whose weights have the same names and shapes.

    Raises:
        StageOrderError: the phase before is not trained, or with another decoder or codec.
        InputError: a folder from elsewhere is missing, or of another decoder or codec.
        CorruptDataError: a file in it is cut or altered.
    """
    start_from = params.phases[name].start_from
    folder = models / start_from
    external = is_external(start_from)
    if not folder.is_dir():
        raise _missing(name, start_from, models)
    if not (folder / CONFIG).is_file() and (folder / MANIFEST).is_file():
        start = _converted(folder)
        _check_shapes(start.weights, params, folder)
        return start
    checkpoint = load_checkpoint(folder)
    found = differences(
        {**checkpoint.config["decoder"], "codec": checkpoint.config["codec_fingerprint"]},
        {**params.decoder.model_dump(mode="json"), "codec": dataset.codec.fingerprint},
    )
    if found:
        values = ", ".join(found)
        told = f"phase {start_from!r} was trained with {values}; {name!r} cannot go on from it"
        if external:
            fix = "set train.decoder to what it was trained with, and use a dataset of its codec"
            raise InputError(told, where=str(folder), fix=fix)
        raise StageOrderError(told, where=str(folder), fix=_run_first(start_from))
    return Start(checkpoint.weights, checkpoint.config["weights_sha256"])


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every setting that stands in the way, as "name = then (now ...)".

    Allowed are `chunk_size`, which changes rounding alone, and `dynamic` where a still decoder
    goes on as a dynamic one.
    """
    changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    becomes_dynamic = now.get("dynamic") is True and then.get("dynamic") is False
    allowed = (*HARMLESS, "dynamic") if becomes_dynamic else HARMLESS
    return [
        f"{key} = {then.get(key)} (now {now.get(key)})" for key in changed if key not in allowed
    ]


def _converted(folder: Path) -> Start:
    manifest = read_manifest(folder)
    record = manifest.files.get(WEIGHTS)
    if manifest.kind != CONVERTED_KIND or record is None:
        raise InputError(
            f"holds weights of kind {manifest.kind!r}, no decoder",
            where=str(folder),
            fix="make one with `lyra-data weights convert lyra --decoder lyra_static.pt`",
        )
    path = folder / WEIGHTS
    fix = "convert the weights again"
    if not path.is_file() or sha256_of_file(path) != record.sha256:
        raise CorruptDataError(
            "missing, cut or altered since it was written", where=str(path), fix=fix
        )
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise CorruptDataError(str(error), where=str(path), fix=fix) from None
    return Start({name: tensor.float() for name, tensor in weights.items()}, record.sha256)


def _check_shapes(weights: Mapping[str, Tensor], params: TrainParams, folder: Path) -> None:
    """A converted folder tells no settings; its tensors have to be those of the decoder of now."""
    own = {name: tuple(t.shape) for name, t in create_decoder(params.decoder).state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    found = [
        f"{name} is {given[name]}, not {shape}"
        for name, shape in own.items()
        if name in given and given[name] != shape
    ]
    found += [f"{name} is missing" for name in own if name not in given]
    found += [f"{name} is unexpected" for name in given if name not in own]
    if found:
        more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
        raise InputError(
            "the weights are of another decoder: " + "; ".join(found[:MAX_LISTED]) + more,
            where=str(folder),
            fix="set train.decoder to that of the weights (presets/h100-static.yaml has that of "
            "Lyra's released ones)",
        )


def _missing(name: str, start_from: str, models: Path) -> InputError | StageOrderError:
    folder = models / start_from
    if is_external(start_from):
        root = models.parent.parent
        fix = "put a checkpoint there"
        if (root / start_from).is_dir():  # written as a path from params.yaml
            fix = f"paths start at {models.relative_to(root)}: write ../../{start_from}"
        return InputError(
            f"phase {name!r} starts from {start_from!r}, and there is no such folder",
            where=str(folder),
            fix=fix,
        )
    return StageOrderError(
        f"phase {name!r} starts from {start_from!r}, which is not trained yet",
        where=str(folder),
        fix=_run_first(start_from),
    )


def _run_first(phase: str) -> str:
    return f"run `lyra-data train --phase {phase}` first, or `dvc repro`"
