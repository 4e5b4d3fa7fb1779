"""Durations: how long each stage took when it last ran here; shown in the report, never hashed."""

from __future__ import annotations

import json
from pathlib import Path

from lyra_data.atomic import write_atomically
from stages.workspace import STAGES, Workspace


def read_durations(workspace: Workspace) -> dict[str, float]:
    """Seconds by stage, in the stages' order; a phase of training is "train PHASE"."""
    try:
        durations = json.loads(_file(workspace).read_text())
    except (OSError, ValueError):  # nothing was recorded: the report leaves the table out
        return {}
    return dict(sorted(durations.items(), key=lambda item: STAGES.index(item[0].split()[0])))


def record_duration(workspace: Workspace, stage: str, seconds: float) -> None:
    """Remember how long a stage took."""
    path = _file(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps({**read_durations(workspace), stage: round(seconds, 2)}))


def _file(workspace: Workspace) -> Path:
    return workspace.scratch / "durations.json"
