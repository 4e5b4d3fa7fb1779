"""Verbs that are no stage share their work among workers, and give what one process gives."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.clips.checks import check_clip_folders
from lyra_data.clips.store import write_clip
from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError, ScenesFailedError
from lyra_data.engine.executors.all_or_nothing import AllOrNothing, results_of_all
from lyra_data.engine.executors.base import Crew, Outcome
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.progress import silent
from stages.cli import app
from tests.factories import make_clip, make_view

ALONE, TWO = Crew(device="cpu"), Crew(workers=2, device="cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes, of which two of different splits are of one source."""
    folder = tmp_path_factory.mktemp("data") / "dataset"
    views = [make_view(scene, index, seed=ord(scene)) for scene in "abc" for index in range(2)]
    views = [
        replace(view, trajectory=("left", "right")[view.view_index], frames=views[0].frames)
        if view.scene_id != "b"
        else view
        for view in views
    ]
    splits = {"a": "train", "b": "train", "c": "validation"}
    write_dataset(views, folder, splits=splits, scenes_per_shard=2, provenance={})
    return folder


class Alternating:
    """An executor that does every second task first, as workers do that are not equally fast."""

    def __init__(self, work: AllOrNothing) -> None:
        self._work = work

    def run(self, tasks: Any) -> Any:
        every = list(tasks)
        for task in every[1::2] + every[::2]:
            yield task, self._work.do(task)


class Numbered:
    """A task that is its number."""

    def __init__(self, number: int) -> None:
        self.number, self.name = number, f"task {number}"


def test_results_come_in_the_order_of_their_tasks() -> None:
    queue = TaskQueue([Numbered(number) for number in range(5)], 5, "Counting", "task")
    executor: Any = Alternating(AllOrNothing(lambda task: task.number**2))
    assert results_of_all(queue, executor, silent) == [0, 1, 4, 9, 16]


def test_an_input_that_cannot_be_used_ends_the_run_with_its_own_error() -> None:
    def refuse(task: Numbered) -> int:
        if task.number == 1:
            raise InputError("it is bent", where="task 1", fix="straighten it")
        return task.number

    queue = TaskQueue([Numbered(number) for number in range(3)], 3, "Counting", "task")
    executor: Any = Alternating(AllOrNothing(refuse))
    with pytest.raises(InputError, match="it is bent"):
        results_of_all(queue, executor, silent)


def test_a_task_that_no_worker_survives_is_named_and_no_result_is_given() -> None:
    class Deadly:
        def run(self, tasks: Any) -> Any:
            for task in tasks:
                from lyra_data.engine.executors.base import lost

                yield task, lost(task, "killed") if task.number == 1 else Outcome("done", result=0)

    queue = TaskQueue([Numbered(number) for number in range(3)], 3, "Counting", "task")
    with pytest.raises(ScenesFailedError, match=r"1 of 3 failed.*\n.*task 1: killed"):
        results_of_all(queue, Deadly(), silent)  # type: ignore[arg-type]


def test_a_dataset_has_the_same_findings_by_two_workers(
    dataset: Path, tmp_path: Path, warm_workers: None
) -> None:
    found = check_dataset(dataset, sample=3, progress=silent, crew=TWO)
    assert found == check_dataset(dataset, sample=3, progress=silent)
    assert "split-leak" in {finding.rule for finding in found.findings}  # known by all scenes alone

    shutil.copytree(dataset, tmp_path / "cut")
    shard = next((tmp_path / "cut" / "data" / "depth").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    (shard.parent / "more.parquet").touch()
    found = check_dataset(tmp_path / "cut", sample=0, progress=silent, crew=TWO)
    assert found == check_dataset(tmp_path / "cut", sample=0, progress=silent)
    assert [finding.rule for finding in found.findings] == ["file-hashes", "unlisted-files"]


def test_clips_have_the_same_findings_by_two_workers(tmp_path: Path, warm_workers: None) -> None:
    for name in "abc":
        write_clip(make_clip(name, 1, seed=ord(name)), tmp_path / name)
    (tmp_path / "b" / "depth.npy").unlink()
    folders = [tmp_path / name for name in "abc"]
    found = check_clip_folders(folders, crew=TWO, progress=silent)
    assert found == check_clip_folders(folders, crew=ALONE, progress=silent)
    assert [clip.clip for clip in found] == ["a", "b", "c"]
    assert [finding.rule for finding in found[1].findings] == ["stored-files"]


@pytest.mark.parametrize("verb", [["check"]])
def test_verbs_hand_their_crew_on(
    dataset: Path, tmp_path: Path, verb: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crews: list[Crew] = []

    def refuse(setup: Any, crew: Crew) -> None:
        crews.append(crew)
        raise InputError("enough is known")

    for module in ("lyra_data.dataset.checks.dataset_check",):
        monkeypatch.setattr(f"{module}.open_executor", refuse)
    monkeypatch.chdir(tmp_path)
    line = [verb[0], str(dataset), *verb[1:]]
    options = ["--executor", "ray", "--workers", "3", "--ray-address", "head:1"]
    CliRunner().invoke(app, [*line, *options])
    monkeypatch.setitem(os.environ, "LYRA_WORKERS", "2")
    CliRunner().invoke(app, line)
    root = Path()
    assert crews == [
        Crew("ray", 3, "head:1", "cpu", root=root),
        Crew(workers=2, device="cpu", root=root),
    ]
