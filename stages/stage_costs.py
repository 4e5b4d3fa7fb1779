"""Costs of stages: what each took when it last did something here. Estimates learn from them.

Kept in `.work/stage_costs.json`: no part of a result, and safe to delete.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import LyraError
from lyra_data.engine.foreign_files import files_below
from lyra_data.engine.peak_memory import forget_peak, peak_process_bytes, peak_worker_bytes
from lyra_model.training.log import TrainingLog
from stages.workspace import STAGES, Workspace

log = logging.getLogger(__name__)

COSTS_FILE = "stage_costs.json"


@dataclass(frozen=True)
class StageCost:
    """Records one run of a stage that did something.

    Attributes:
        seconds: on the clock.
        core_seconds: of the processor, its workers' among them.
        units: scenes, views or steps that were made; those found finished are not among them.
        unit_pixels: of the frames that one of them reads or makes, in the mean.
        peak_memory_bytes: of the command, or of its largest worker where that is more.
        formula_bytes: what `stage_memory` says of the same settings; None: nothing.
        output_bytes, output_pixels: of all that stands in the stage's output.
        device: name of what worked.
    """

    seconds: float
    core_seconds: float
    units: int
    unit_pixels: float
    peak_memory_bytes: int
    formula_bytes: float | None
    output_bytes: int
    output_pixels: int
    device: str


class StageWatch:
    """Measures one run of a stage from its making on.

    Args:
        stage: its name.
        phase: of training; None: all of them, or another stage.
        device: that the stage was told to use; None: its own choice.
    """

    def __init__(
        self, params_file: Path, stage: str, *, phase: str | None, device: str | None
    ) -> None:
        self._params_file, self._stage = params_file, stage
        self._phase, self._device = phase, device
        self._workspace = Workspace(params_file.resolve().parent)
        forget_peak()
        self._started, self._cores = time.monotonic(), _core_seconds()
        self._before = _num_made(self._workspace.scratch, stage)

    def record(self) -> None:
        """Remember what the run took, where it made anything; its result stands whether or not that
        can be written."""
        made = _num_made(self._workspace.scratch, self._stage) - self._before
        if self._stage not in STAGES or made <= 0 or not self._workspace.clips.is_dir():
            return  # of a dataset from elsewhere nobody knows the clips
        seconds, core_seconds = time.monotonic() - self._started, _core_seconds() - self._cores
        try:
            name, cost = self._cost(made, seconds, core_seconds)
            write_cost(self._workspace.scratch, name, cost)
        except (OSError, LyraError) as error:
            log.warning("what %s took is not recorded: %s", self._stage, error)

    def _cost(self, made: int, seconds: float, core_seconds: float) -> tuple[str, StageCost]:
        """Return the cost of the run and the name it is kept under.

        Raises:
            LyraError: there are no clips to say how large it was.
        """
        from lyra_data.engine.placement import Placement
        from lyra_data.generation.costs import device_name
        from lyra_data.generation.plan import read_clip_facts
        from stages.stage_work import stage_works

        works = stage_works(self._params_file, read_clip_facts(self._workspace.clips))
        names = [name for name in works if name.split()[0] == self._stage]
        if self._phase is not None:
            names = [f"{self._stage} {self._phase}"]
        # Of several phases the last one is the largest: it is trained at the size that is judged.
        work = works[names[-1]]
        device = self._device or Placement.automatic().device
        folder = self._output(names[-1])
        return names[-1], StageCost(
            seconds=round(seconds, 2),
            core_seconds=round(core_seconds, 2),
            units=made,
            unit_pixels=sum(works[name].pixels for name in names)
            / sum(works[name].units for name in names),
            peak_memory_bytes=_peak_bytes(device),
            formula_bytes=work.memory_bytes,
            output_bytes=sum(path.stat().st_size for path in files_below(folder)),
            output_pixels=work.pixels,
            device=device_name(device) or device,
        )

    def _output(self, name: str) -> Path:
        """Return the folder of what the stage made, or the phase of that name."""
        workspace = self._workspace
        return {
            "annotate": workspace.clips,
            "generate": workspace.views,
            "package": workspace.dataset,
            "train": workspace.models / name.partition(" ")[2],
            "evaluate": workspace.reports,
            "reconstruct": workspace.scenes,
        }[self._stage]


def write_cost(scratch: Path, name: str, cost: StageCost) -> None:
    """Keep the cost of a stage in the place of its former one.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    costs = {**read_costs(scratch), name: cost}
    with write_atomically(scratch / COSTS_FILE) as temporary:
        values = {name: asdict(one) for name, one in costs.items()}
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_costs(scratch: Path) -> dict[str, StageCost]:
    """Read the costs of all stages that ran here; one that cannot be read is left out."""
    path = scratch / COSTS_FILE
    try:
        kept = read_json_object(path, kind="list of costs", fix="delete it")
    except (OSError, LyraError):
        return {}
    return {name: cost for name, values in kept.items() if (cost := _cost_of(values)) is not None}


def _cost_of(values: Any) -> StageCost | None:
    """Return the cost that JSON values state; None where they state none."""
    try:
        cost = StageCost(**values)
    except TypeError:
        return None
    numbers = [getattr(cost, field.name) for field in fields(StageCost) if field.name != "device"]
    known = [number for number in numbers if number is not None]
    are_numbers = all(type(number) in (int, float) and number >= 0 for number in known)
    states_all = len(known) >= len(numbers) - (cost.formula_bytes is None)
    is_sound = are_numbers and states_all and isinstance(cost.device, str)
    return cost if is_sound and cost.units and cost.unit_pixels and cost.output_pixels else None


def _num_made(scratch: Path, stage: str) -> int:
    """Return how many units of a stage lie finished in the scratch folder; of training, how many
    steps were taken. What may not be looked at counts as nothing: the stage itself tells why."""
    folder = scratch / stage
    try:
        if not folder.is_dir():
            return 0
        if stage == "train":
            logs = [TrainingLog(path) for path in folder.glob("*/log.jsonl")]
            return sum(row.get("event") == "step" for log in logs for row in log.rows())
        return sum(not path.name.startswith(".") for path in folder.iterdir())
    except OSError:
        return 0


def _core_seconds() -> float:
    """Return the seconds of the processor that this process has had, with workers that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_bytes(device: str) -> int:
    """Return the most memory that the run had: of the GPU where it worked on one."""
    import torch

    if device.startswith("cuda") and torch.cuda.is_initialized():
        return torch.cuda.max_memory_reserved(device)
    return max(peak_process_bytes(), peak_worker_bytes())
