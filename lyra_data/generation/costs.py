"""Costs: what a finished view took, kept beside it in the scratch store; estimates learn from it.

Never part of a result: a view's key and bytes do not depend on how long it took.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import build_from_json
from lyra_data.engine.errors import ExecutorError, LyraError

COST_FILE = "cost.json"
MOST_READ = 2000
"""Finished views that an estimate reads; more would not make the median better."""


@dataclass(frozen=True)
class Cost:
    """Records what one view took.

    Attributes:
        seconds: reading the clip, making the view and writing it.
        num_frames, height, width: of the view.
        teacher_fingerprint: the exact model that made it.
        device: the GPU's name, or the CPU's.
        cores: CPU cores that the worker could use; 0 on a GPU.
        peak_memory_bytes: of the GPU where there is one, else of the process.
        view_bytes: size of the view's file, with the blobs of an encoded view.
        store: the form that it was kept in, as in `generate.store`.
    """

    seconds: float
    num_frames: int
    height: int
    width: int
    teacher_fingerprint: str
    device: str
    cores: int
    peak_memory_bytes: int
    view_bytes: int
    store: str = "lossless"

    @property
    def num_pixels(self) -> int:
        """Return the pixels of all frames."""
        return self.num_frames * self.height * self.width


class Stopwatch:
    """Measures time and memory from its making on; `cost` is asked at the end."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._started = time.monotonic()
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def cost(
        self, view_bytes: int, shape: tuple[int, int, int], teacher_fingerprint: str, store: str
    ) -> Cost:
        """Return what was spent so far. `shape`: frames, height and width of the view."""
        on_gpu = self._device.startswith("cuda")
        name = device_name(self._device)
        assert name is not None, "a view was made there"
        return Cost(
            round(time.monotonic() - self._started, 3),
            *shape,
            teacher_fingerprint=teacher_fingerprint,
            device=name,
            cores=0 if on_gpu else _num_threads(),
            peak_memory_bytes=_peak_gpu_memory(self._device) if on_gpu else _peak_process_memory(),
            view_bytes=view_bytes,
            store=store,
        )


def write_cost(cost: Cost, folder: Path) -> None:
    (folder / COST_FILE).write_text(json.dumps(asdict(cost)) + "\n", encoding="utf-8")


def read_costs(store_folder: Path) -> list[Cost]:
    """Read the costs of up to MOST_READ finished views; what cannot be read is left out."""
    costs = []
    for path in islice(_cost_files(store_folder), MOST_READ):
        try:
            costs.append(build_from_json(path, _cost_of, kind="cost", fix="delete it"))
        except (OSError, LyraError):
            continue
    return costs


def _cost_of(values: Any) -> Cost:
    """Return the cost that a file states; ValueError where it states none."""
    cost = Cost(**values)
    numbers = (cost.seconds, cost.num_frames, cost.height, cost.width, cost.cores)
    if not all(type(number) in (int, float) for number in (*numbers, cost.view_bytes)):
        raise ValueError("a number is missing")
    return cost


def _cost_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield Path(entry.path) / COST_FILE


@functools.cache
def device_name(device: str) -> str | None:
    """Return the name of what `device` (as torch spells it) stands for on this machine.

    Returns:
        None for a GPU that is not here.

    Raises:
        ExecutorError: there is no such device anywhere.
    """
    if device == "cpu":
        return _cpu_name()
    kind, colon, index = device.partition(":")
    if kind != "cuda" or (colon and not index.isdecimal()):
        raise ExecutorError(
            f"{device!r} is no device", where="--device", fix="take cpu, cuda or e.g. cuda:1"
        )
    import torch

    is_here = int(index or 0) < torch.cuda.device_count()
    return torch.cuda.get_device_name(device) if is_here else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def _num_threads() -> int:
    import torch

    return torch.get_num_threads()


def _peak_gpu_memory(device: str) -> int:
    import torch

    return torch.cuda.max_memory_reserved(device)


def _peak_process_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
