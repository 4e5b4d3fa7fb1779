"""States of an unfinished fit, from which a killed run goes on to the bit."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.pickles import refuse_endless_checkpoint
from lyra_data.engine.sealed_files import read_sealed, write_sealed

STATE_FILE = "fit_state.pt"


@dataclass(frozen=True)
class FitState:
    """The numbers that the next step depends on, besides frames, params and code.

    Attributes:
        step: steps that were taken.
        variables: by name.
        optimiser: state of Adam.
        best: variables of the best measured state, by name.
        best_step: the step it was measured at.
        history: rows of figures.
    """

    step: int
    variables: dict[str, Tensor]
    optimiser: dict[str, Any]
    best: dict[str, Tensor]
    best_step: int
    history: list[dict[str, float]]


def save_state(state: FitState, folder: Path) -> None:
    """Write the state as one file, its sha256 first.

    Raises:
        StorageError: the disk is full or cannot be written; a former state stays as it is.
    """
    buffer = io.BytesIO()  # torch reports a full disk as a RuntimeError; Python's write does not
    torch.save(vars(state), buffer)
    write_sealed(folder / STATE_FILE, buffer.getvalue())


def load_state(folder: Path) -> FitState | None:
    """Read the state that `save_state` wrote; None where there is none.

    Raises:
        CorruptDataError: the file is cut or altered.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    fix = "delete this file, or move it away: the fit then begins anew"
    content = read_sealed(path, kind="state of the fit", fix=fix)
    with file_at_fault(path, kind="state of a fit", fix=fix, error=CorruptDataError):
        refuse_endless_checkpoint(io.BytesIO(content))
        return FitState(**torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
