"""Every stage and tool on 10, 100 and 1,000 tiny scenes: peak memory and seconds of the processor.

Claim: memory stays within a fifth from ten scenes to a thousand, and the seconds grow as the scenes
do. Each command runs in a process of its own, whose highest resident size the kernel tells, that of
its workers too where one of them is larger. Run: python -m benchmarks.many_scenes
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TARGET_RATIO = 1.2
"""Peak memory of the most scenes against that of the fewest."""

DATASET = "outputs/dataset"
COMMANDS = {
    "annotate": ["annotate"],
    "generate": ["generate"],
    "package": ["package"],
    "package again": ["package"],
    "train": ["train"],
    "evaluate": ["evaluate"],
    "evaluate again": ["evaluate"],
    "reconstruct": ["reconstruct"],
    "check clips": ["check", "outputs/clips", "--fail-on", "never"],
    "check": ["check", DATASET, "--sample", "8", "--fail-on", "never"],
    "check all": ["check", DATASET, "--sample", "all", "--fail-on", "never"],
    "stats": ["stats", DATASET],
    "dedup": ["dedup", DATASET],
    "filter": ["filter", DATASET, "made/filtered", "--where", "width >= 16"],
    "split": ["split", DATASET, "made/split", "--share", "train=0.5", "--share", "test=0.5"],
    "merge": ["merge", DATASET, "made/split", "made/merged", "--prefix", "a", "--prefix", "b"],
    "diff": ["diff", DATASET, "made/split", "--html", "made/diff.html"],
    "convert": ["convert", DATASET, "made/lyra", "--to", "lyra"],
    "convert back": ["convert", "made/lyra", "made/back"],
    "webdataset": ["convert", DATASET, "made/webdataset", "--to", "webdataset"],
    "browse": ["browse", DATASET, "--output", "made/pages"],
    "publish": ["publish", "dataset", "--dry-run"],
    "estimate": ["estimate"],
}
"""Arguments of lyra-data by what the table calls them; each may need those before it."""

MADE = {
    "filter": "made/filtered",
    "split": "made/split",
    "merge": "made/merged",
    "convert": "made/lyra",
    "convert back": "made/back",
    "webdataset": "made/webdataset",
    "browse": "made/pages",
}
"""Folders that commands write and do not replace."""


@dataclass(frozen=True)
class Spent:
    """Holds what one command took.

    Attributes:
        seconds: of the processor, its workers' among them.
        passed: seconds on the clock, whatever else the machine did.
        peak_bytes: highest resident size of the command, or of a worker where that is more.
    """

    seconds: float
    passed: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--stages", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--folder", type=Path, help="where projects are made, or were: kept")
    options = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "warm_up").is_dir():
            warm_up(folder / "warm_up")
        measured: dict[str, list[tuple[int, Spent]]] = {name: [] for name in options.stages}
        for num_scenes in options.scenes:
            project = folder / f"scenes_{num_scenes}"
            if not project.is_dir():
                make = ["benchmarks.tiny_projects", str(project), "--scenes", str(num_scenes)]
                spend(make, Path())
            for name in options.stages:
                spent = run(name, project)
                measured[name].append((num_scenes, spent))
                print_row(name, measured[name])


def warm_up(folder: Path) -> None:
    """Run once what compiles: a kernel that is not kept on the disk yet takes memory of its own."""
    spend(["benchmarks.tiny_projects", str(folder), "--scenes", "1"], Path())
    for name in ("annotate", "generate", "package", "train", "evaluate"):
        run(name, folder)


def run(name: str, project: Path) -> Spent:
    """Run a command in the project, what it is to make not being there."""
    if name in MADE:
        shutil.rmtree(project / MADE[name], ignore_errors=True)
    return spend(["stages.cli", *COMMANDS[name], "--json"], project)


def spend(module: Sequence[str], folder: Path) -> Spent:
    """Run a module in a process of its own, and return what it took.

    The kernel counts what this process had when it started the other, so it imports nothing large.

    Raises:
        SystemExit: the module failed; its output is shown.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(child.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            output.seek(0)
            raise SystemExit(f"{' '.join(module)}: {output.read().decode()[-3000:]}")
    child.returncode = 0  # waited for above: Popen must not do so again
    seconds = usage.ru_utime + usage.ru_stime
    return Spent(seconds, time.monotonic() - started, usage.ru_maxrss * 1024)


def print_row(name: str, measured: Sequence[tuple[int, Spent]]) -> None:
    """Print one measurement beside that of the fewest scenes."""
    num_scenes, spent = measured[-1]
    words = f"{name:15} {num_scenes:5} scenes {spent.seconds:8.1f} s {spent.passed:8.1f} s passed"
    words += f" {spent.peak_bytes / 1e6:6.0f} MB"
    if len(measured) > 1:
        ratio = spent.peak_bytes / measured[0][1].peak_bytes
        (few, before), (many, after) = measured[-2:]
        a_scene = 1000 * (after.seconds - before.seconds) / (many - few)
        words += f" {ratio:5.2f} x, {a_scene:6.1f} ms a scene"
        words += "" if ratio <= TARGET_RATIO else "  MISSED"
    print(words, flush=True)


if __name__ == "__main__":
    main()
