"""Load the weights that a phase begins with, if they fit what it is now.

`start_from` names a folder of outputs/models: that of a phase before, or, by a path with "/" in it,
one that was brought from elsewhere: a checkpoint of another project, or what `lyra-data weights
convert lyra` made of a released one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import CorruptDataError, InputError, StageOrderError
from lyra_model.phases.checkpoints import TRAIN_AGAIN, Checkpoint, load_checkpoint
from lyra_model.phases.phase_params import is_external
from lyra_model.phases.train_params import TrainParams

HARMLESS = ("chunk_size",)
"""Settings of the decoder that change rounding alone."""


@dataclass(frozen=True)
class Start:
    """The weights that a phase begins with.

    Attributes:
        weights: state dict of the decoder.
        weights_sha256: of their file.
    """

    weights: dict[str, Tensor]
    weights_sha256: str


def load_start(name: str, params: TrainParams, dataset: SceneDataset, models: Path) -> Start:
    """Load the weights that phase `name` begins with.

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
    checkpoint = _load(folder, start_from)
    codec, of_now = checkpoint.config["codec_fingerprint"], dataset.codec.fingerprint
    if codec is None:  # a release does not say which weights its codec had
        codec, of_now = checkpoint.config["codec"], dataset.codec.name
    changed = differences(
        {**checkpoint.config["decoder"], "codec": codec},
        {**params.decoder.model_dump(mode="json"), "codec": of_now},
    )
    if changed:
        values = ", ".join(changed)
        what = f"phase {start_from!r} was trained with {values}; {name!r} cannot go on from it"
        if external:
            fix = "set train.decoder to what it was trained with, and use a dataset of its codec"
            raise InputError(what, where=str(folder), fix=fix)
        raise StageOrderError(what, where=str(folder), fix=_run_first(start_from))
    return Start(checkpoint.weights, checkpoint.config["weights_sha256"])


def _load(folder: Path, start_from: str) -> Checkpoint:
    """Load a checkpoint; the error of a damaged one says what brings this very one back."""
    try:
        return load_checkpoint(folder)
    except CorruptDataError as error:
        if error.fix != TRAIN_AGAIN:  # not damaged, but of another release
            raise
        fix = f"run `lyra-data train --phase {start_from}` again"
        if is_external(start_from):
            fix = "copy the folder again from where it came from"
        raise CorruptDataError(error.what, where=error.where, fix=fix) from None


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List every setting that stands in the way, as "name = then (now ...)".

    Allowed are `chunk_size`, which changes rounding alone, and `dynamic` where a still decoder
    goes on as a dynamic one.
    """
    changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    becomes_dynamic = now.get("dynamic") is True and then.get("dynamic") is False
    allowed = (*HARMLESS, "dynamic") if becomes_dynamic else HARMLESS
    return [
        f"{key} = {then.get(key)} (now {now.get(key)})" for key in changed if key not in allowed
    ]


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
