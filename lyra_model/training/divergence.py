"""Stop training where a number is not finite, and save what it was looking at."""

from __future__ import annotations

import json
from pathlib import Path

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.errors import ParamsError
from lyra_model.phases.view_sampling import StepDraw
from lyra_model.training.log import TrainingLog

ROWS_BEFORE_A_STOP = 20
"""Lines of the log that are saved with what stopped training."""


def diverged(
    quantity: str, *, phase: str, step: int, draw: StepDraw, folder: Path, log: TrainingLog
) -> ParamsError:
    """Save what was looked at, for whoever has to find the cause; return the error to raise.

    Args:
        quantity: "the loss", "the gradient" or "a Gaussian".
        step: counted from 0.
        folder: of the phase, where the file is written.
    """
    path = folder / f"stopped_at_step_{step + 1:08d}.json"
    content = {
        "what": f"{quantity} is no finite number",
        "phase": phase,
        "step": step + 1,
        "scene_id": draw.scene_id,
        "target_frames": [{"view": view, "frame": frame} for view, frame in draw.frames],
        "time": draw.time,
        "last_log_rows": log.rows()[-ROWS_BEFORE_A_STOP:],
    }
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
    return ParamsError(
        f"training diverged: {quantity} is no finite number in step {step + 1}, scene "
        f"{draw.scene_id!r}; its frames and the steps before are in {path}",
        where=f"params.yaml: train.phases.{phase}",
        fix="lower the phase's learning_rate, or raise its warmup_steps; look at the scene if "
        "it is always the same one",
    )
