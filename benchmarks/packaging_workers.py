"""Packaging by two worker processes against one, side by side: seconds passed and of the processor.

Claim: on two idle cores two workers package views 1.8 times as fast as one, and the dataset is the
same to the byte. On a busy machine the seconds that pass say little; the processor's seconds say
what is left to one process alone, and so how far workers can help.
Run: python -m benchmarks.packaging_workers
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dataset_content import make_view
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.engine.progress import SilentProgress
from lyra_data.views.fields import row_from_view
from lyra_data.views.store import view_path, write_row

VIEWS_OF_A_SCENE = 6
TARGET_RATIO = 1.8


@dataclass(frozen=True)
class Run:
    """One dataset's seconds.

    Attributes:
        passed: in all, and while views were encoded; the workers' start is part of both.
        own, workers: seconds of the processor, of the command's process and of its workers.
    """

    passed: float
    encoding: float
    own: float
    workers: float
    content: str


class Times(SilentProgress):
    """Notes when each bar begins."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}

    def start(self, description: str, total: int, unit: str) -> None:
        del total, unit
        self.begun[description] = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--height", type=int, default=704)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--rgb", default="compat", choices=["lossless", "train", "compat"])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(
        f"{options.views} views of {options.frames} frames of {options.height}x{options.width}, "
        f"{options.rgb}; {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
    )
    params = PackageParams(
        scenes_per_shard=64,
        validation_fraction=0.0,
        validation_scenes=(),
        rgb=options.rgb,
        depth="half",
        latents="half",
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_views(root / "views", options)
        runs: dict[int, list[Run]] = {1: [], 2: []}
        for number in range(options.rounds):
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                runs[workers].append(run(root, params, workers))
    report(runs, options.views)


def write_views(folder: Path, options: argparse.Namespace) -> None:
    """Write views that differ in their names alone: each is a key of its own, none is cheaper."""
    view = make_view(0, options.frames, options.height, options.width, 0.5, None)
    row = row_from_view(view)
    for number in range(options.views):
        scene, index = divmod(number, VIEWS_OF_A_SCENE)
        row |= {"scene_id": f"scene{scene:04d}", "view_index": index}
        write_row(view_path(folder, row["scene_id"], index, row["trajectory"]), row)


def run(root: Path, params: PackageParams, workers: int) -> Run:
    times, before = Times(), (_seconds_of_own(), _seconds_of_workers())
    started = time.perf_counter()
    package_views(
        params,
        views=root / "views",
        dataset=root / "dataset",
        scratch=root / "scratch",
        progress=times,
        crew=Crew(workers=workers, device="cpu"),
    )
    passed = time.perf_counter() - started
    own, of_workers = _seconds_of_own() - before[0], _seconds_of_workers() - before[1]
    content = sha256_of_folder(root / "dataset")
    shutil.rmtree(root / "scratch")
    encoding = times.begun["Assembling"] - times.begun["Packaging"]
    return Run(passed, encoding, own, of_workers, content)


def report(runs: dict[int, list[Run]], num_views: int) -> None:
    """Print medians, and the ratios of runs side by side."""
    for workers, of_workers in runs.items():
        passed, encoding, own, spent = (
            statistics.median(getattr(one, name) for one in of_workers)
            for name in ("passed", "encoding", "own", "workers")
        )
        print(
            f"{workers} workers: {passed:.1f} s passed, {encoding:.1f} of them encoding; processor "
            f"{own / num_views:.2f} s a view in this process, {spent / num_views:.2f} in workers"
        )
    pairs = list(zip(runs[1], runs[2], strict=True))
    assert len({one.content for pair in pairs for one in pair}) == 1, "the datasets differ"
    for name in ("passed", "encoding"):
        ratio = statistics.median(getattr(a, name) / getattr(b, name) for a, b in pairs)
        print(f"2 workers against 1, {name}: {ratio:.2f} times as fast (aim {TARGET_RATIO})")
    possible = statistics.median(
        (one.own + one.workers) / (two.own + two.workers / 2) for one, two in pairs
    )
    print(f"by the processor's seconds two idle cores would be {possible:.2f} times as fast as one")


def _seconds_of_own() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _seconds_of_workers() -> float:
    """Return the seconds of all workers that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
