"""Show the lines of the training log in TensorBoard or trackio too, where asked for.

The log stays the truth: a tracker is a copy of its figures, and nothing reads it back.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal, get_args

from accelerate import PartialState
from accelerate.tracking import GeneralTracker, TensorBoardTracker, TrackioTracker
from accelerate.utils import is_tensorboard_available, is_trackio_available

from lyra_data.engine.errors import InputError

TrackerName = Literal["tensorboard", "trackio"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)


def require_trackers(names: Sequence[TrackerName]) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        InputError: it is not, and how to install it.
    """
    is_there = {"tensorboard": is_tensorboard_available, "trackio": is_trackio_available}
    missing = [name for name in names if not is_there[name]()]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            where="--tracker",
            fix="pip install 'lyra-data[trackers]' (in a clone: pip install -e '.[trackers]'), or "
            "leave the option out: log.jsonl has all figures",
        )


class Trackers:
    """The trackers of one phase.

    Args:
        folder: of the phase; TensorBoard's files go to `folder`/tensorboard.
        project: what trackio files the run under, in a folder of its own (TRACKIO_DIR).
        phase: its name.
        first: steps done before; what TensorBoard has of later ones is dropped.
    """

    def __init__(
        self, names: Sequence[TrackerName], *, folder: Path, project: str, phase: str, first: int
    ) -> None:
        require_trackers(names)
        if names:
            PartialState(cpu=True)  # accelerate's trackers ask it which process they are in
        self._trackers: list[GeneralTracker] = []
        if "tensorboard" in names:
            logs = folder / "tensorboard"
            self._trackers.append(TensorBoardTracker(phase, logs, purge_step=first + 1))
        if "trackio" in names:
            name = f"{phase}-{folder.name[:8]}"
            self._trackers.append(TrackioTracker(project, name=name, resume="allow", embed=False))
        with redirect_stdout(sys.stderr):  # trackio prints; --json promises one object there
            for tracker in self._trackers:
                tracker.start()

    def append(self, row: Mapping[str, Any]) -> None:
        """Show a line of the log; figures of validations go under "validation/"."""
        prefix = "validation/" if row["event"] == "validation" else ""
        figures = {
            prefix + name: value
            for name, value in row.items()
            if isinstance(value, int | float) and name != "step"
        }
        for tracker in self._trackers:
            tracker.log(figures, step=row["step"])

    def finish(self) -> None:
        with redirect_stdout(sys.stderr):
            for tracker in self._trackers:
                if getattr(tracker, "name", None) == "trackio":
                    # Accelerate's `finish` leaves the run to be ended and announced again at exit.
                    sys.modules["trackio"].finish()
                else:
                    tracker.finish()
