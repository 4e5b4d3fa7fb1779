"""Trained phases: the checkpoints that an evaluation judges, loaded and known to fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import CorruptDataError, ParamsError, StageOrderError
from lyra_model.decoder import DecoderParams
from lyra_model.phases.checkpoints import Checkpoint, load_checkpoint
from lyra_model.phases.phase_params import RANDOM_WEIGHTS, PhaseParams


@dataclass(frozen=True)
class TrainedPhase:
    """A checkpoint with the settings it was trained with."""

    name: str
    checkpoint: Checkpoint
    decoder: DecoderParams
    phase: PhaseParams

    @staticmethod
    def of(name: str, checkpoint: Checkpoint) -> TrainedPhase:
        """Return the phase of a checkpoint.

        Raises:
            CorruptDataError: another release wrote settings that this one does not know.
        """
        where = f"the configuration of phase {name}"
        try:
            decoder = DecoderParams.parse(checkpoint.config.get("decoder"), where="decoder")
            phase = PhaseParams.parse(checkpoint.config.get("phase"), where="phase")
        except ParamsError as error:
            raise CorruptDataError(
                f"written by another release: {error.what}",
                where=where,
                fix=f"run `lyra-data train --phase {name}` again",
            ) from None
        return TrainedPhase(name, checkpoint, decoder, phase)


def load_phases(names: Sequence[str], dataset: SceneDataset, models: Path) -> list[TrainedPhase]:
    """Load phases that were trained one after another, the judged one last.

    Raises:
        StageOrderError: one is not trained, or not on this dataset and the weights before it.
        CorruptDataError: a checkpoint is cut, altered, or of another release.
    """
    checkpoints = {name: _load(models / name, name) for name in names}
    _check_they_belong_together(checkpoints, dataset, models)
    return [TrainedPhase.of(name, checkpoint) for name, checkpoint in checkpoints.items()]


def _load(folder: Path, name: str) -> Checkpoint:
    if not folder.is_dir():
        raise StageOrderError(
            f"phase {name!r} has not been trained",
            where=str(folder),
            fix=f"run `lyra-data train --phase {name}` first, or `dvc repro`",
        )
    return load_checkpoint(folder)


def _check_they_belong_together(
    checkpoints: dict[str, Checkpoint], dataset: SceneDataset, models: Path
) -> None:
    """Check that every phase was trained on this dataset, and on the weights before it."""
    before: Checkpoint | None = None
    for name, checkpoint in checkpoints.items():
        config = checkpoint.config
        started_from = config["started_from_weights"]  # the first may come from elsewhere
        if before is not None or config["phase"]["start_from"] == RANDOM_WEIGHTS:
            started_from = None if before is None else before.config["weights_sha256"]
        if config["dataset_hash"] != dataset.manifest.dataset_hash:
            what = f"phase {name!r} was trained on another dataset ({config['dataset_hash'][:12]})"
        elif config["started_from_weights"] != started_from:
            what = f"phase {name!r} did not start from the weights that stand before it now"
        else:
            before = checkpoint
            continue
        raise StageOrderError(
            what, where=str(models / name), fix="run `lyra-data train` again, or `dvc repro`"
        )
