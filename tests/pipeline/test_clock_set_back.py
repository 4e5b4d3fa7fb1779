"""A clock that is set back, or files from the future: finished work stays finished, and no more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lyra_data.engine.atomic import PARTIAL_PREFIX
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.locks import held_lock
from lyra_data.sharing.publishing.hash_cache import HashCache
from stages.running import run_timed
from tests.pipeline.project import Project

STAGES = ("annotate", "generate", "package")
YEAR_2242, YEAR_1971 = 2**33, 2**25


def run(project: Project) -> None:
    for stage in STAGES:
        run_timed(stage, project.params_file)


def from_the_future(folder: Path) -> None:
    """Give everything below a folder a time in the future."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (YEAR_2242, YEAR_2242), follow_symlinks=False)


@pytest.fixture
def set_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Set this process's clock back by decades."""

    def set_it() -> None:
        monkeypatch.setattr(time, "time", lambda: float(YEAR_1971))
        monkeypatch.setattr(time, "time_ns", lambda: YEAR_1971 * 10**9)

    return set_it


def test_finished_work_is_found_and_other_work_is_done_whatever_the_clock_says(
    tmp_path: Path, set_back: Callable[[], None]
) -> None:
    project = Project(tmp_path / "project")
    project.change("generate", "num_frames", to=9)
    run(project)
    outputs = project.root / "outputs"
    first = sha256_of_files(outputs)
    leftover = outputs / f"{PARTIAL_PREFIX}{'0' * 16}"
    leftover.mkdir()
    from_the_future(project.root)
    set_back()

    again = {stage: run_timed(stage, project.params_file).facts for stage in STAGES}
    assert [again[stage]["made"] for stage in ("annotate", "generate")] == [0, 0]
    assert sha256_of_files(outputs) == first and not leftover.exists()

    # What has changed is seen although all that was there is newer.
    project.change("generate", "trajectories", "names", to=["left"])
    run(project)
    assert sha256_of_files(outputs / "views") != {
        name.removeprefix("views/"): sha256
        for name, sha256 in first.items()
        if name.startswith("views/")
    }
    project.change("generate", "trajectories", "names", to=["left", "zoom_in"])
    run(project)
    assert sha256_of_files(outputs) == first


def test_a_lock_s_file_from_the_future_holds_nobody_up(tmp_path: Path) -> None:
    with held_lock(tmp_path, "generate"):
        pass
    from_the_future(tmp_path)
    with held_lock(tmp_path, "generate"):
        pass


def test_a_file_that_changed_later_than_now_is_hashed_anew(
    tmp_path: Path, set_back: Callable[[], None]
) -> None:
    file = tmp_path / "shard"
    file.write_bytes(b"one")
    set_back()
    cache = HashCache(tmp_path / "hashes.jsonl")
    first = cache.sha256(file)
    file.write_bytes(b"two")
    assert cache.sha256(file) != first
    assert not (tmp_path / "hashes.jsonl").exists(), "nothing is kept whose time proves nothing"
