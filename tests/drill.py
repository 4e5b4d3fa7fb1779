"""Kill the pipeline at random moments, go on until it has finished, and compare the results.

    python -m tests.drill                # 200 kills
    python -m tests.drill --kills 20 --steps annotate generate

A tiny project is run once without an interruption, and then again and again, each time in a folder
of its own: every command is killed (SIGKILL), or one of its two workers is, at moments drawn by the
seed within half the time that the command took undisturbed; then the same command goes on. At its
end its results have to have the bytes of the undisturbed run, nothing unfinished may lie about, and
no finished piece of work may have gone between two kills.

Commands and workers are forks of this process, which has imported everything: a new Python would
take most of the time for its imports, and most kills would meet those.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lyra_data.engine import provenance
from lyra_data.engine.hashing import sha256_of_files
from tests.children import descendants
from tests.pipeline.project import Project, tiny_params, write_source

SCENES = ("wall", "shed")

STEPS: dict[str, tuple[list[str], list[str]]] = {
    "annotate": (["annotate", "--workers", "2"], ["outputs/clips", "outputs/held_out"]),
    "generate": (["generate", "--workers", "2"], ["outputs/views"]),
    "package": (["package", "--workers", "2"], ["outputs/dataset"]),
    "check": (["check", "outputs/dataset", "--sample", "all", "--workers", "2"], []),
    "convert": (
        ["convert", "outputs/dataset", "converted", "--to", "webdataset", "--workers", "2"],
        ["converted"],
    ),
}
"""Commands in their order, and the folders that each of them makes."""

MOST_KILLED_WORKERS = 2
"""A step may lose so many in one project: work that has killed its workers three times is given up,
by design, and other results would be right."""

MOST_KILLS_A_STEP = 8


@dataclass
class Figures:
    """What a drill counted of one step.

    Attributes:
        runs: starts of the command.
        killed_commands: that were alive when they were killed; its workers end with it.
        killed_workers: as above; the command goes on with another.
        wrong: results that differ from those of the undisturbed run.
        lost: finished pieces of work that were there at a kill, and not at the next.
        leftovers: unfinished folders that lay there when all had ended.
        refusals: commands that ended with neither 0 nor the kill, and what they said.
    """

    runs: int = 0
    killed_commands: int = 0
    killed_workers: int = 0
    wrong: int = 0
    lost: int = 0
    leftovers: int = 0
    refusals: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.killed_commands + self.killed_workers


@dataclass(frozen=True)
class Undisturbed:
    """What the project gives that nobody disturbs: hashes of files and seconds, by step."""

    hashes: dict[str, dict[str, str]]
    seconds: dict[str, float]


def drill(
    folder: Path,
    *,
    kills: int,
    steps: Sequence[str] = tuple(STEPS),
    seed: int = 0,
    seconds: float = float("inf"),
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Figures]:
    """Run projects in `folder` until so many processes were killed, or the time is over.

    Args:
        steps: names of STEPS, in their order; the first ones are needed by the others.
        seconds: after these no new project is begun.
        report: takes a line after every step.
    """
    end = time.monotonic() + seconds
    commit = provenance.engine_commit()
    # Whoever commits while the drill runs changes manifests, which state the commit.
    provenance.commit_of = lambda folder: commit
    undisturbed = _run_undisturbed(_new_project(folder / "undisturbed"), steps)
    report(f"undisturbed: { ({name: round(s, 1) for name, s in undisturbed.seconds.items()}) }")
    draw, figures = random.Random(seed), {name: Figures() for name in steps}
    number = 0
    while (left := kills - _num_kills(figures)) > 0 and time.monotonic() < end:
        number += 1
        project = _new_project(folder / str(number))
        for name in steps:
            before = figures[name].kills
            _disturb(project, name, undisturbed, draw, min(left, MOST_KILLS_A_STEP), figures[name])
            left -= figures[name].kills - before
            report(f"project {number}, {name}: {figures[name]}")
    return figures


def _num_kills(figures: dict[str, Figures]) -> int:
    return sum(one.kills for one in figures.values())


def _new_project(root: Path) -> Project:
    project = Project(root)
    params = tiny_params()
    for name in SCENES[1:]:
        write_source(root / "inputs" / name)
    params["annotate"]["sources"] = [
        {"name": "files", "folder": f"inputs/{name}", "scene_id": name} for name in SCENES
    ]
    params["generate"]["num_frames"] = 9
    project.write_params(params)
    return project


def _run_undisturbed(project: Project, steps: Iterable[str]) -> Undisturbed:
    done = Undisturbed({}, {})
    for name in steps:
        began = time.monotonic()
        child = _start(project, name)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, _said(project)
        done.seconds[name] = time.monotonic() - began
        done.hashes[name] = _hashes(project, name)
    return done


def _disturb(
    project: Project,
    name: str,
    undisturbed: Undisturbed,
    draw: random.Random,
    most_kills: int,
    figures: Figures,
) -> None:
    """Run one step of a project to its end, with kills, and count."""
    first, finished = figures.kills, set[str]()
    first_workers = figures.killed_workers
    code: int | None = -signal.SIGKILL
    while code == -signal.SIGKILL:
        child, code = _start(project, name), None
        figures.runs += 1
        while code is None:
            wait = draw.uniform(0.0, undisturbed.seconds[name] / 2)
            takes_worker = draw.random() < 0.5
            is_last = figures.kills - first >= most_kills
            code = _exit_code_within(child, None if is_last else wait)
            if code is not None:
                break
            workers = sorted(_workers_of(child))
            may_lose = figures.killed_workers - first_workers < MOST_KILLED_WORKERS
            if takes_worker and workers and may_lose:
                os.kill(draw.choice(workers), signal.SIGKILL)
                figures.killed_workers += 1
                continue
            os.kill(child, signal.SIGKILL)
            code = _exit_code_within(child, None)
            figures.killed_commands += code == -signal.SIGKILL
            now = _finished_work(project)
            figures.lost += len(finished - now)
            finished = now
    if code != 0:
        figures.refusals.append(_said(project))
        return
    figures.wrong += _hashes(project, name) != undisturbed.hashes[name]
    figures.leftovers += len(list(project.root.rglob(".partial-*")))


def _start(project: Project, name: str) -> int:
    """Return the process id of a child that is the step's command."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _be_command(project.root, STEPS[name][0])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        finally:
            os._exit(code)
    return child


def _be_command(root: Path, arguments: list[str]) -> None:
    from stages.cli import main

    said = os.open(root / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    usual = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: usual(  # type: ignore[assignment]
        "fork" if method == "spawn" else method
    )
    os.environ["LYRA_WAIT"] = "1"  # forks of a killed command hold its lock until they end
    os.chdir(root)
    sys.argv = ["lyra-data", *arguments, "--json"]
    main()


def _exit_code_within(child: int, seconds: float | None) -> int | None:
    """Return how a child ended, None where it has not; wait for it without end where None."""
    if seconds is None:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.005)


def _workers_of(child: int) -> Iterable[int]:
    for pid in descendants(child):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"resource_tracker" not in command:
            yield pid


def _finished_work(project: Project) -> set[str]:
    """Return the finished items of all stages' scratch stores; a record of a failure is none, and
    goes when another try succeeds."""
    return {
        str(path.parent.relative_to(project.root))
        for path in (project.root / ".work").glob("*/*/contents.json")
        if not path.parts[-3].endswith("_failures")
    }


def _hashes(project: Project, name: str) -> dict[str, str]:
    return {
        f"{folder}/{file}": sha256
        for folder in STEPS[name][1]
        if (project.root / folder).is_dir()
        for file, sha256 in sha256_of_files(project.root / folder).items()
    }


def _said(project: Project) -> str:
    return (project.root / "said.txt").read_text(errors="replace")


def _import_all() -> None:
    """Import what commands need, so that their forks begin at once; and have no threads."""
    import importlib

    import torch

    from tests.warm_processes import PRELOADED

    torch.set_num_threads(1)
    names = ["lyra_data.dataset.convert.to_webdataset", "lyra_data.dataset.checks"]
    names += ["stages.verbs.check", "stages.verbs.convert"]
    for name in (*PRELOADED, *names):
        importlib.import_module(name)


def main() -> None:
    """Print the figures of every step as a table's rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no project then")
    options = parser.parse_args()
    _import_all()

    def show(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder:
        figures = drill(
            Path(folder),
            kills=options.kills,
            steps=options.steps,
            seed=options.seed,
            seconds=options.seconds,
            report=show,
        )
    names = ("runs", "killed_commands", "killed_workers", "wrong", "lost", "leftovers")
    show(f"| step | {' | '.join(names)} | refusals |")
    for step, counts in figures.items():
        values: list[Any] = [getattr(counts, name) for name in names]
        show(f"| {step} | {' | '.join(map(str, values))} | {len(counts.refusals)} |")
    for step, counts in figures.items():
        for text in counts.refusals:
            show(f"{step}: {text}")


if __name__ == "__main__":
    main()
