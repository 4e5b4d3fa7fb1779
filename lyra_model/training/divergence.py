"""Divergence: what was looked at when a number became none is saved, and training stops."""

from __future__ import annotations

import json
from pathlib import Path

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import ParamsError
from lyra_model.phases.view_sampling import StepTargets
from lyra_model.training.log import TrainingLog

ROWS_BEFORE_A_STOP = 20
"""Lines of the log that are saved with what stopped training."""


def diverged(
    what: str, *, phase: str, step: int, draw: StepTargets, folder: Path, log: TrainingLog
) -> ParamsError:
    """The error to raise; what was looked at is saved for whoever has to find the cause.

    Args:
        what: "the loss", "the gradient" or "a Gaussian".
        step: counted from 0.
        folder: of the phase, where the file is written.
    """
    found = folder / f"stopped_at_step_{step + 1:08d}.json"
    content = {
        "what": f"{what} is no finite number",
        "phase": phase,
        "step": step + 1,
        "scene_id": draw.scene_id,
        "target_frames": [{"view": view, "frame": frame} for view, frame in draw.frames],
        "time": draw.time,
        "last_log_rows": log.rows()[-ROWS_BEFORE_A_STOP:],
    }
    with write_atomically(found) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
    return ParamsError(
        f"training diverged: {what} is no finite number in step {step + 1}, scene "
        f"{draw.scene_id!r}; its frames and the steps before are in {found}",
        where=f"params.yaml: train.phases.{phase}",
        fix="lower the phase's learning_rate, or raise its warmup_steps; look at the scene if "
        "it is always the same one",
    )
