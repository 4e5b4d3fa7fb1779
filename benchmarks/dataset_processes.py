"""Readers of the dataset's benchmark in processes of their own: cold, by workers, peak memory.

Only what a reader needs is imported here before it is asked for, since imports count as memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EVERY_VIEW = tuple(range(6))
NUM_HELD_SAMPLES = 3


@dataclass(frozen=True)
class Request:
    """What a sample has."""

    name: str
    latents: bool
    depth: bool
    frames_per_view: int


K12 = Request("K12", latents=True, depth=True, frames_per_view=2)


@dataclass(frozen=True)
class Memory:
    """Highest resident size of a process, and of one that only imports, MiB."""

    peak: int
    imports: int


def draw_frames(number: int, num_frames: int, per_view: int) -> dict[int, list[int]]:
    """Frames by view, in ascending order: an unordered list would make the original seek back."""
    draw = np.random.default_rng(1000 + number)
    return {view: sorted(draw.integers(num_frames, size=per_view).tolist()) for view in EVERY_VIEW}


def reader_of(
    folder: Path, kind: str, request: Request, num_frames: int
) -> Callable[[int], object]:
    """Reads the sample of a number: `original`, or an encoding of ours and a precision."""
    latents = EVERY_VIEW if request.latents else ()

    def drawn(number: int) -> dict[int, list[int]]:
        return draw_frames(number, num_frames, request.frames_per_view)

    if kind == "original":
        from benchmarks.dataset_original import read_original, read_video  # noqa: F401

        path = folder / "original"
        return lambda number: read_original(path, latents, drawn(number), request.depth)
    from lyra_data.dataset.reading.reader import SceneDataset

    encoding, dtype = kind.split()
    dataset = SceneDataset(folder / encoding)
    return lambda number: dataset[0].read(
        latents=latents,
        frames=drawn(number),
        depth=request.depth,
        dtype=dtype,  # type: ignore[arg-type]
    )


class Samples:
    """What a DataLoader reads."""

    def __init__(self, read: Callable[[int], object], num_samples: int) -> None:
        self.read, self.num_samples = read, num_samples

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, number: int) -> object:
        return self.read(number)


def read_by_workers(read: Callable[[int], object], num_samples: int) -> float:
    """Seconds a sample of a DataLoader with two workers; the first two samples do not count."""
    from torch.utils.data import DataLoader

    samples: Any = Samples(read, num_samples + 2)
    loader = iter(DataLoader(samples, batch_size=None, num_workers=2))
    for _ in range(2):
        next(loader)
    started = time.perf_counter()
    for _ in loader:
        pass
    return (time.perf_counter() - started) / num_samples


def cold_sample(folder: Path, kind: str, num_frames: int, number: int) -> tuple[float, float]:
    """Seconds that passed and of the processor, without Python's own start and imports."""
    for path in (folder / kind.split()[0]).rglob("*"):
        if path.is_file():
            forget(path)
    wall, processor = _child("first", folder, kind, num_frames, number).split()
    return float(wall), float(processor)


def forget(path: Path) -> None:
    """Drop a file from the page cache (Linux)."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def peak_memory(folder: Path, kind: str, num_frames: int) -> Memory:
    """Of a process that reads three K12 samples and holds each until the next is there."""
    found = [int(_child(what, folder, kind, num_frames, 0)) for what in ("several", "none")]
    return Memory(found[0] // 1024, found[1] // 1024)


def _child(*arguments: object) -> str:
    command = [sys.executable, "-m", "benchmarks.dataset_processes", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _import_what_reads(kind: str) -> None:
    import torch

    torch.set_num_threads(1)
    if kind == "original":
        import benchmarks.dataset_original as original

        if original.has_decord():
            __import__("decord")
    else:
        import lyra_data.dataset.reading.reader  # noqa: F401


def main(what: str, folder: str, kind: str, num_frames: str, number: str) -> None:
    """Print what the parent asks for."""
    _import_what_reads(kind)
    started, processor = time.perf_counter(), time.process_time()
    if what == "none":
        return print(_highest_resident())
    read = reader_of(Path(folder), kind, K12, int(num_frames))
    if what == "first":
        kept = read(int(number))
        print(time.perf_counter() - started, time.process_time() - processor)
        del kept
        return None
    held: object = None
    for sample in range(NUM_HELD_SAMPLES):
        held = read(sample)
    del held
    return print(_highest_resident())


def _highest_resident() -> str:
    """KiB; getrusage would tell the parent's."""
    return Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
