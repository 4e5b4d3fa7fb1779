"""Durations: how long each stage took when it last ran here; shown by `evaluate`, never hashed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError, StorageError
from lyra_model.evaluation.report.numbers import duration
from stages.workspace import STAGES, Workspace

log = logging.getLogger(__name__)


def read_durations(workspace: Workspace) -> dict[str, float]:
    """Return seconds by stage, in the stages' order; a phase of training is "train PHASE"."""
    try:
        recorded = read_json_object(_file(workspace), kind="list of durations", fix="delete it")
    except (OSError, CorruptDataError):  # nothing was recorded
        return {}
    return {
        name: seconds
        for stage in STAGES
        for name, seconds in recorded.items()
        if name.split()[:1] == [stage] and isinstance(seconds, float)
    }


def describe_durations(workspace: Workspace) -> str:
    """Return one line about how long each stage took.

    It is no part of the report, which would else be another one after every run, changed or not.
    """
    times = [f"{name} {duration(took)}" for name, took in read_durations(workspace).items()]
    return f"wall time: {', '.join(times) or 'not recorded'}"


def record_duration(workspace: Workspace, stage: str, seconds: float) -> None:
    """Remember how long a stage took; where that cannot be written, its result still stands."""
    durations = {**read_durations(workspace), stage: round(float(seconds), 2)}
    try:
        with write_atomically(_file(workspace)) as temporary:
            temporary.write_text(json.dumps(durations))
    except StorageError as error:
        log.warning("the duration of %s is not recorded: %s", stage, error)


def _file(workspace: Workspace) -> Path:
    return workspace.scratch / "durations.json"
