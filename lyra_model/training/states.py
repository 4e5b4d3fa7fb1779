"""Keep the states of an unfinished phase, from which a killed run goes on to the bit."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.pickles import refuse_endless_checkpoint
from lyra_data.engine.sealed_files import read_sealed, write_sealed

STATE_NAME = re.compile(r"state_(\d+)\.pt")


@dataclass(frozen=True)
class TrainingState:
    """The numbers that the next step depends on, besides params, data and code.

    Random states are not among it: every draw is a function of the step (`derive_seed`),
    and nothing draws on a GPU. Tensors are whole and on the CPU, wherever training runs.
    """

    step: int
    decoder: dict[str, Tensor]
    optimiser: dict[str, Any]
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Upkeep:
    """The intervals at which training keeps states and validates; they change no result.

    Attributes:
        checkpoint_steps: steps between states.
        keep_newest: so many of the newest states are kept.
        keep_every: besides those, every k-th state is kept for good; 0 for none.
        validation_steps: steps between validations; 0 for none.
    """

    checkpoint_steps: int = 25
    keep_newest: int = 2
    keep_every: int = 0
    validation_steps: int = 100


class StateFolder:
    """The states of one phase, one file each, named by their steps."""

    def __init__(self, folder: Path, upkeep: Upkeep) -> None:
        self.folder, self.upkeep = folder, upkeep

    def files(self) -> list[Path]:
        """List the files, oldest first."""
        return sorted(
            (path for path in self.folder.glob("state_*.pt") if STATE_NAME.fullmatch(path.name)),
            key=step_of,
        )

    def newest(self) -> TrainingState | None:
        """Return the state to go on from; None where there is none yet.

        Raises:
            CorruptDataError: the newest one is cut or altered. It is not deleted, and no older one
                takes its place in silence.
        """
        files = self.files()
        if not files:
            return None
        before = f"goes on after step {step_of(files[-2])} ({files[-2].name})" if files[1:] else ""
        return load_state(files[-1], without_it=before or "is trained from its start")

    def keep(self, state: TrainingState) -> None:
        """Write a state, then remove those that need not be kept.

        Raises:
            StorageError: the disk is full or cannot be written; former states stay as they are.
        """
        save_state(state, self.folder / f"state_{state.step:08d}.pt")
        period = self.upkeep.checkpoint_steps * self.upkeep.keep_every
        for path in self.files()[: -self.upkeep.keep_newest]:
            if period == 0 or step_of(path) % period:
                with storage_errors(path):
                    path.unlink()


def step_of(path: Path) -> int:
    """Return the step that a state's file is named by."""
    match = STATE_NAME.fullmatch(path.name)
    assert match is not None, path
    return int(match[1])


def save_state(state: TrainingState, path: Path) -> None:
    """Write the state as one file, its sha256 first: altered bytes would go on unnoticed.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    buffer = io.BytesIO()  # torch reports a full disk as a RuntimeError; Python's write does not
    torch.save(vars(state), buffer)
    write_sealed(path, buffer.getvalue())


def load_state(path: Path, *, without_it: str) -> TrainingState:
    """Read a file that `save_state` wrote.

    Args:
        without_it: what the phase does once the file is gone, for the message.

    Raises:
        CorruptDataError: the file is cut or altered.
    """
    fix = f"delete this file, or move it away: the phase then {without_it}"
    content = read_sealed(path, kind="training state", fix=fix)
    with file_at_fault(path, kind="training state", fix=fix, error=CorruptDataError):
        # The hash is no seal: whoever made the file wrote it too.
        refuse_endless_checkpoint(io.BytesIO(content))
        values = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        return _state_of(values)


def _state_of(values: Any) -> TrainingState:
    """Return the state that a file's values are; any error says that they are none."""
    state = TrainingState(**values)
    if type(state.step) is not int or state.step < 0:
        raise ValueError(f"its step is {state.step!r}")
    if not isinstance(state.decoder, dict) or not isinstance(state.optimiser, dict):
        raise ValueError("its weights or its optimiser's values have no names")
    if not all(isinstance(tensor, Tensor) for tensor in state.decoder.values()):
        raise ValueError("a weight of its decoder is no tensor")
    if not isinstance(state.history, list) or not all(
        isinstance(row, dict) for row in state.history
    ):
        raise ValueError("its history is no list of rows")
    return state
