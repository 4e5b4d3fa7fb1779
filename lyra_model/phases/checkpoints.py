"""Checkpoints: a phase's weights (safetensors), configuration (JSON) and history (CSV)."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.hashing import content_key, sha256_of_file

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
HISTORY = "history.csv"
TRAIN_AGAIN = "run `lyra-data train` again; delete the folder first if this persists"


@dataclass(frozen=True)
class Checkpoint:
    """A trained phase.

    Attributes:
        weights: state dict of the decoder.
        config: decoder params, phase, data and provenance, as plain JSON values.
        history: one mapping per step: step, loss, each loss term, learning_rate, psnr; empty for
            weights that were trained elsewhere.
    """

    weights: dict[str, Tensor]
    config: dict[str, Any]
    history: list[dict[str, float]]


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint as `folder`, whole or not at all.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with folder_atomically(folder) as temporary:
        write_checkpoint(checkpoint, temporary)


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint's files into a folder that is there, and that no one reads yet."""
    weights = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
    (folder / WEIGHTS).write_bytes(save(weights))
    columns = list(checkpoint.history[0]) if checkpoint.history else ["step"]
    with (folder / HISTORY).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(checkpoint.history)
    config = {
        "format_version": FORMAT_VERSION,
        **checkpoint.config,
        "weights_sha256": sha256_of_file(folder / WEIGHTS),
        "history_sha256": sha256_of_file(folder / HISTORY),
    }
    config["config_sha256"] = content_key(config)
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and check every byte of it.

    Raises:
        CorruptDataError: a file is missing, cut, altered, or of another version.
    """
    fix = TRAIN_AGAIN
    try:
        config = read_json_object(
            folder / CONFIG, kind="checkpoint configuration", fix=fix, allow_nan=True
        )
        version = config["format_version"]
        stated = config["config_sha256"]
        hashes = {WEIGHTS: config["weights_sha256"], HISTORY: config["history_sha256"]}
    except (OSError, KeyError) as error:
        raise CorruptDataError(
            f"not a readable checkpoint configuration ({error})",
            where=str(folder / CONFIG),
            fix=fix,
        ) from None
    if version != FORMAT_VERSION:
        raise CorruptDataError(
            f"checkpoint format {version}, this release reads {FORMAT_VERSION}",
            where=str(folder),
            fix="train again with this release, or install the one that wrote it",
        )
    if content_key({k: v for k, v in config.items() if k != "config_sha256"}) != stated:
        raise CorruptDataError("altered since it was written", where=str(folder / CONFIG), fix=fix)
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file() or sha256_of_file(path) != expected:
            raise CorruptDataError(
                "missing, cut or altered since it was written", where=str(path), fix=fix
            )
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise CorruptDataError(str(error), where=str(folder / WEIGHTS), fix=fix) from None
    with (
        file_at_fault(folder / HISTORY, kind="history", fix=fix, error=CorruptDataError),
        (folder / HISTORY).open(newline="") as file,
    ):
        rows = list(csv.DictReader(file))
        history = [{key: float(value) for key, value in row.items()} for row in rows]
    return Checkpoint(weights, config, history)
