"""Gather the facts of a model's card from the documents that training and evaluation have written.

Nothing of lyra_model is needed: a phase's folder holds config.json, history.csv and safetensors,
and reports/evaluation.json names the weights that it judged.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.documents import parse_json, read_json_object
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.licences.dependencies import NOT_STATED, Dependency, model_dependency
from lyra_data.sharing.licences.guardrail import GuardrailState, guardrail_states
from lyra_data.sharing.licences.licence import Licence
from lyra_data.sharing.licences.uses import Statements, Use, count_uses, read_view_rows

CONFIG, WEIGHTS, HISTORY = "config.json", "model.safetensors", "history.csv"
TRAIN_AGAIN = "run `lyra-data train` again"


@dataclass(frozen=True)
class PhaseFacts:
    """One phase of training.

    Attributes:
        started_from: hash of the weights that it began with; None: of none.
        is_released: these are weights that NVIDIA released, converted, and no phase of ours.
        settings: what its config.json says of the phase: steps, learning rate, losses, sizes.
        curve: PSNR in dB of the pictures it was trained on, by step.
    """

    name: str
    weights_sha256: str
    started_from: str | None
    is_released: bool
    commit: str
    settings: Mapping[str, Any]
    curve: tuple[float, ...]


@dataclass(frozen=True)
class TrainingData:
    """The dataset that a model was trained on.

    Attributes:
        folder: where it lies; None: its licences are not known here.
        repository: OWNER/NAME on the Hub; None: it is not there.
        revision: commit of that repository; None: not known.
        version: tag of that repository; None: not known.
    """

    folder: Path | None = None
    repository: str | None = None
    revision: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class ModelFacts:
    """A decoder as its card describes it.

    Attributes:
        phases: in the order of training, the published one last.
        config: config.json of the published phase.
        num_parameters: numbers in its weights.
        figures: evaluation.json; None: it was not judged.
        uses: what the training data, and the weights that training began with, depend on.
        splits: scenes by split of the training data; {}: not known.
    """

    licence: Licence | None
    repository: str | None
    version: str | None
    phases: tuple[PhaseFacts, ...]
    config: Mapping[str, Any]
    num_parameters: int
    figures: Mapping[str, Any] | None
    data: TrainingData
    splits: Mapping[str, int]
    uses: tuple[Use, ...]
    guardrails: tuple[GuardrailState, ...]
    made_by: MadeBy

    @property
    def name(self) -> str:
        return self.phases[-1].name

    @property
    def dataset_hash(self) -> str:
        return str(self.config.get("dataset_hash", NOT_STATED))


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a phase's folder.

    Raises:
        InputError: the folder is no phase's.
        CorruptDataError: the file was cut or altered.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(
            f"there is no {CONFIG}", where=str(folder), fix="give a folder of outputs/models"
        )
    config = read_json_object(
        path, kind="checkpoint configuration", fix=TRAIN_AGAIN, allow_nan=True
    )
    for name in ("weights_sha256", "codec"):
        if not isinstance(config.get(name), str):
            raise CorruptDataError(f"it names no {name}", where=str(path), fix=TRAIN_AGAIN)
    return config


def read_phases(folder: Path) -> tuple[PhaseFacts, ...]:
    """Return the phases that led to a folder's weights, the first one first.

    A phase names the weights that it began with by their hash; they are looked for in the folders
    beside it.

    Raises:
        InputError, CorruptDataError: as `read_config`.
    """
    beside = _phases_beside(folder)
    phases: list[PhaseFacts] = []
    found: tuple[Path, dict[str, Any]] | None = (folder, read_config(folder))
    while found is not None and len(phases) <= len(beside):
        place, config = found
        phases.append(_phase(place, config))
        found = beside.get(config.get("started_from_weights") or "")
    return tuple(reversed(phases))


def _phases_beside(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return the phases in the folders beside one, by the hash of their weights.

    What else lies there is not ours, and not looked at further.
    """
    phases = {}
    for path in sorted(folder.resolve().parent.glob(f"*/{CONFIG}")):
        with contextlib.suppress(CorruptDataError, OSError):
            config = read_config(path.parent)
            phases[config["weights_sha256"]] = (path.parent, config)
    return phases


def _phase(folder: Path, config: Mapping[str, Any]) -> PhaseFacts:
    return PhaseFacts(
        name=str(config.get("phase_name") or folder.name),
        weights_sha256=config["weights_sha256"],
        started_from=config.get("started_from_weights"),
        is_released="released_file" in config,
        commit=str(config.get("trained_at_commit") or NOT_STATED),
        settings=config.get("phase") or {},
        curve=_curve(folder / HISTORY),
    )


def _curve(path: Path) -> tuple[float, ...]:
    if not path.is_file():
        return ()
    with (
        file_at_fault(path, kind="history", fix=TRAIN_AGAIN, error=CorruptDataError),
        path.open(newline="") as file,
    ):
        return tuple(float(row["psnr"]) for row in csv.DictReader(file) if row.get("psnr"))


def count_parameters(path: Path) -> int:
    """Return how many numbers a safetensors file holds; its header alone is read.

    Raises:
        CorruptDataError: it is cut, or no such file.
    """
    with (
        file_at_fault(path, kind="weights", fix=TRAIN_AGAIN, error=CorruptDataError),
        path.open("rb") as file,
    ):
        # uint64, little-endian: bytes of the JSON header that follows.
        header = parse_json(file.read(int.from_bytes(file.read(8), "little")))
        total = 0
        for name, tensor in header.items():
            if name != "__metadata__":
                size = 1
                for length in tensor["shape"]:
                    size *= length
                total += size
        return total


def read_model_facts(
    folder: Path,
    *,
    licence: Licence | None,
    repository: str | None,
    version: str | None,
    data: TrainingData,
    evaluation: Path | None,
    made_by: MadeBy,
    stated: Statements | None = None,
) -> ModelFacts:
    """Read the facts of a phase's folder.

    Raises:
        InputError: the folder is no phase's, the dataset is not the one it was trained on, or the
            evaluation judged other weights.
        CorruptDataError: a file was cut or altered.
    """
    config, phases = read_config(folder), read_phases(folder)
    dataset = None if data.folder is None else _training_data(data.folder, config, folder)
    rows = [] if dataset is None else list(read_view_rows(dataset))
    splits: dict[str, int] = {}
    for scene in () if dataset is None else dataset.scenes:
        splits[scene.split] = splits.get(scene.split, 0) + 1
    return ModelFacts(
        licence=licence,
        repository=repository,
        version=version,
        phases=phases,
        config=config,
        num_parameters=count_parameters(folder / WEIGHTS),
        figures=None if evaluation is None else _figures(evaluation, phases[-1]),
        data=data,
        splits=splits,
        uses=count_uses(rows, stated, besides=_first_weights(phases[0])),
        guardrails=guardrail_states(rows),
        made_by=made_by,
    )


def _training_data(folder: Path, config: Mapping[str, Any], model: Path) -> SceneDataset:
    dataset = SceneDataset(folder)
    actual, trained_on = dataset.manifest.dataset_hash, config.get("dataset_hash")
    if trained_on is not None and actual != trained_on:
        raise InputError(
            f"the dataset in {folder} has hash {actual[:12]}, the model was trained on "
            f"{str(trained_on)[:12]}",
            where=str(model / CONFIG),
            fix="name the dataset that it was trained on, or run `lyra-data train` again",
        )
    return dataset


def _figures(path: Path, phase: PhaseFacts) -> dict[str, Any]:
    try:
        figures = read_json_object(
            path, kind="evaluation", fix="run `lyra-data evaluate` again", allow_nan=True
        )
    except FileNotFoundError:
        raise InputError(
            "there is no evaluation", where=str(path), fix="run `lyra-data evaluate`"
        ) from None
    training = (figures.get("provenance") or {}).get("training") or {}
    judged = training.get(f"{phase.name}_weights")
    if judged != phase.weights_sha256:
        raise InputError(
            f"it judges other weights of phase {phase.name!r} ({str(judged)[:12]}, not "
            f"{phase.weights_sha256[:12]})",
            where=str(path),
            fix="run `lyra-data evaluate` again, with evaluate.phase set to this phase",
        )
    return figures


def _first_weights(first: PhaseFacts) -> list[Dependency]:
    """Return the weights that were trained elsewhere, where training began with such."""
    if first.is_released:
        return [model_dependency("first weights", "nvidia/Lyra", first.name)]
    if first.started_from:
        return [model_dependency("first weights", f"weights {first.started_from[:12]}")]
    return []
