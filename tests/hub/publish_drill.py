"""Kill publications at random moments, under random faults, and count what comes of them.

    python -m tests.hub.publish_drill                        # 200 kills, half of them by Xet
    python -m tests.hub.publish_drill --kills 20 --files 300 --way lfs

Versions of many small files go to one repository, one after the other; each is published by a
child that is killed (SIGKILL) some time after it began, and begun again, until one ends. Meanwhile
the Hub answers 503 and 429, cuts connections, and loses answers to what it has done. Time runs
faster, for the Hub and for the child alike, so that an hour's limit is met within the drill.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lyra_data.sharing.publishing.changes import FILES_A_COMMIT
from tests.hub.publications import CARD, KEY, NAME, many_files
from tests.hub.server import TOKEN, HubState, client_pointed_at, running_hub

SPEED = 30.0
"""Seconds of the drill's time in a real one."""

FAULTS = [
    ("status", {"status": 503, "chance": 0.004}),
    ("status", {"status": 429, "retry_after": 2, "chance": 0.004}),
    ("slow", {"seconds": 0.1, "chance": 0.01}),
    ("cut_request", {"chance": 0.004}),
    ("cut_answer", {"chance": 0.004}),
    ("lose_answer", {"chance": 0.004}),
]
OF_STEPS = [
    ("status", {"status": 502, "chance": 0.05}),
    ("lose_answer", {"chance": 0.05}),
]
STEPS = r"/commit/|/discussions|/tag/|/refs|/tree/|shards|xorbs"


@dataclass
class Figures:
    """What a drill counted.

    Attributes:
        kills: children that were alive when they were killed.
        refusals: runs that ended with an error in words, which the next run got over.
        half_new: heads of main that are no whole version.
        resent_bytes: of finished contents that arrived again.
        content_bytes: of all versions; `received_bytes` are those and unfinished ones.
    """

    way: str
    kills: int = 0
    runs: int = 0
    versions: int = 0
    refusals: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    half_new: int = 0
    wrong_tags: int = 0
    pull_requests: int = 0
    commits: int = 0
    resent_bytes: int = 0
    content_bytes: int = 0
    received_bytes: int = 0
    most_commits_an_hour: int = 0
    most_calls_in_five_minutes: int = 0
    tokens_elsewhere: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Drill:
    """What is drilled.

    Attributes:
        way: "lfs" or "xet".
        kills: after which the version under way is published to its end.
        wait_seconds: each child is killed within this time at random; or it is whole before.
        files_a_commit: fewer make more commits, and meet the limit of an hour.
    """

    way: str
    kills: int
    num_files: int
    seed: int = 0
    wait_seconds: float = 5.0
    files_a_commit: int = FILES_A_COMMIT


def drill(settings: Drill, folder: Path) -> Figures:
    """Publish versions until so many runs were killed, and the last version to its end."""
    draw = random.Random(f"{settings.seed} {settings.way}")
    state = HubState(seed=settings.seed)
    state.clock.run_at(SPEED)
    for kind, how in FAULTS:
        state.faults.add(kind, times=None, **how)
    for kind, how in OF_STEPS:
        state.faults.add(kind, STEPS, times=None, **how)
    figures, begin = Figures(settings.way), time.monotonic()
    versions: list[dict[str, bytes]] = []
    with running_hub(state) as endpoint:
        while figures.kills < settings.kills:
            versions.append(_version(len(versions), settings.num_files))
            _write(versions[-1], folder / "files")
            tag = f"v{len(versions)}"
            is_whole = False
            while not is_whole:
                seconds = draw.uniform(0.0, settings.wait_seconds)
                if figures.kills == settings.kills:
                    seconds = None
                is_whole = _run(state, endpoint, folder, tag, settings, seconds, figures)
    _count(state, versions, figures)
    figures.seconds = time.monotonic() - begin
    return figures


def _version(number: int, num_files: int) -> dict[str, bytes]:
    card = CARD + b"Version %d\n" % number
    return {"README.md": card, **many_files(num_files - 1, seed=f"{number}-")}


def _write(files: dict[str, bytes], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def _run(
    state: HubState,
    endpoint: str,
    folder: Path,
    tag: str,
    settings: Drill,
    seconds: float | None,
    figures: Figures,
) -> bool:
    """Return whether a child published the version to its end."""
    clock = state.clock
    child = multiprocessing.get_context("forkserver").Process(
        target=publish_here,
        args=(endpoint, folder, tag, settings, (clock._start, clock._real_start, clock.speed)),
    )
    child.start()
    child.join(seconds)
    figures.runs += 1
    if child.exitcode is None:
        child.kill()
        child.join()
        figures.kills += child.exitcode == -9
    if child.exitcode not in (0, -9):
        figures.refusals.append((folder / "refusal.txt").read_text())
    return child.exitcode == 0


def publish_here(
    endpoint: str, folder: Path, tag: str, settings: Drill, clock: tuple[float, float, float]
) -> None:
    """Be a child: publish what lies in the folder."""
    from lyra_data.engine.errors import LyraError
    from lyra_data.hub.retries import Clock
    from lyra_data.sharing.publishing import Publication, changes, files_of_folder, publish
    from lyra_data.sharing.publishing.hash_cache import HashCache

    start, real_start, speed = clock
    scratch = folder / "scratch"
    home, is_xet = folder / "home", settings.way == "xet"
    os.environ.update({"HF_XET_CACHE": str(home / "xet"), "HF_HOME": str(home)})
    changes.FILES_A_COMMIT = settings.files_a_commit
    with client_pointed_at(endpoint, home, token=TOKEN, xet=is_xet):
        hashes = HashCache(scratch / "hashes.jsonl")
        publication = Publication(
            repository=NAME,
            repository_type="dataset",
            tag=tag,
            files=files_of_folder(folder / "files", sha256_of=hashes.sha256),
            licence="CC-BY-4.0",
            message="Scenes",
        )
        try:
            publish(
                publication,
                state=scratch,
                clock=Clock(
                    lambda: start + (time.time() - real_start) * speed,
                    lambda seconds: time.sleep(seconds / speed),
                ),
            )
        except LyraError as error:
            (folder / "refusal.txt").write_text(str(error))
            os._exit(2)
        except BaseException as error:
            (folder / "refusal.txt").write_text(f"{type(error).__name__}: {error}")
            os._exit(1)
    os._exit(0)


def _count(state: HubState, versions: list[dict[str, bytes]], figures: Figures) -> None:
    """Count from what the server recorded."""
    records, history = state.records, state.repositories[KEY].history
    mains = [set(main) - {".gitattributes"} for main in records.heads(KEY, "main")]
    hashes = [dict(main) for main in records.heads(KEY, "main")]
    whole = []
    for number, version in enumerate(versions, 1):
        held = state.files(KEY, f"v{number}")
        held.pop(".gitattributes")
        figures.wrong_tags += held != version
        at_tag = history.commits[history.tags[f"v{number}"]].files
        whole.append({name: entry.oid for name, entry in at_tag.items()})
    assert mains[0] == set()
    figures.half_new = sum(main not in whole for main in hashes[1:])
    figures.versions = len(versions)
    figures.pull_requests = len(history.discussions)
    figures.commits = len(records.commits)
    figures.resent_bytes = sum(records.resent.values())
    figures.received_bytes = sum(records.received.values())
    figures.content_bytes = sum(len(data) for version in versions for data in version.values())
    figures.most_commits_an_hour = records.most_commits_an_hour()
    figures.most_calls_in_five_minutes = records.most_calls_in_five_minutes()
    figures.tokens_elsewhere = len(records.tokens_elsewhere)
    for rule in state.faults.rules:
        name = f"{rule.kind} {rule.status}" if rule.kind == "status" else rule.kind
        figures.faults[name] += rule.happened


def main() -> None:
    """Print the figures of both ways, or of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of all ways together")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--way", choices=("lfs", "xet"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wait", type=float, default=5.0, help="a run is killed within, seconds")
    parser.add_argument("--files-a-commit", type=int, default=FILES_A_COMMIT)
    options = parser.parse_args()
    multiprocessing.set_forkserver_preload(
        ["tests.hub.publications", "lyra_data.sharing.publishing.hash_cache"]
    )
    ways = [options.way] if options.way else ["lfs", "xet"]
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            settings = Drill(
                way,
                kills=options.kills // len(ways),
                num_files=options.files,
                seed=options.seed,
                wait_seconds=options.wait,
                files_a_commit=options.files_a_commit,
            )
            figures = drill(settings, Path(folder))
        for name, value in vars(figures).items():
            sys.stdout.write(f"{name:28} {dict(value) if name == 'faults' else value}\n")
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
