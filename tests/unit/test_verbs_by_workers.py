"""Verbs that are no stage share their work among workers, and give what one process gives."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.clips.checks import check_clip_folders
from lyra_data.clips.store import write_clip
from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.convert import to_lyra
from lyra_data.dataset.convert.from_lyra import FromLyraSettings, convert_from_lyra
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.convert.lyra_source import LyraSource
from lyra_data.dataset.convert.to_lyra import convert_to_lyra
from lyra_data.dataset.convert.to_webdataset import convert_to_webdataset
from lyra_data.dataset.editing import picture_hashes
from lyra_data.dataset.editing.duplicates import find_duplicates
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError, ScenesFailedError, StorageError
from lyra_data.engine.executors.all_or_nothing import AllOrNothing, results_of_all
from lyra_data.engine.executors.base import Crew, Outcome
from lyra_data.engine.executors.task_queue import TaskQueue
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.progress import silent
from stages.cli import app
from tests.disks import DISKS
from tests.factories import make_clip, make_view
from tests.lyra_layout import write_clip as write_lyra_clip

ALONE, TWO = Crew(device="cpu"), Crew(workers=2, device="cpu")

pytestmark = pytest.mark.slow  # worker processes for every verb


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
    with pytest.raises(ScenesFailedError, match=r"1 of 3 failed:\n  task 1: killed"):
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


@pytest.fixture(scope="module")
def lyra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes in Lyra's layout, of which one has a clip that cannot be read."""
    folder = tmp_path_factory.mktemp("lyra") / "source"
    for index in (0, 1):
        write_lyra_clip(folder / "static", index, "still")
    for index in (0, 6):
        write_lyra_clip(folder / "dynamic", index, "moving")
    (folder / "static/1/pose/still.npz").write_bytes(b"cut")
    return folder


def test_a_dataset_of_lyras_layout_has_the_same_bytes_by_two_workers(
    lyra: Path, tmp_path: Path, warm_workers: None
) -> None:
    settings = FromLyraSettings(ClipSettings(False, "half"), 2, skip_broken=True)
    reports = []
    for name, crew in (("alone", ALONE), ("two", TWO)):
        with LyraSource(lyra) as source:
            _, report = convert_from_lyra(
                source,
                tmp_path / name,
                settings,
                scratch=tmp_path / ".work",
                progress=silent,
                crew=crew,
            )
        reports.append(report)
    assert sha256_of_files(tmp_path / "two") == sha256_of_files(tmp_path / "alone")
    assert reports[0] == reports[1]
    assert [view.scene_id for view in reports[1].dropped] == ["static-still"]
    assert not (tmp_path / ".work").exists()


def test_a_clip_that_cannot_be_read_ends_a_conversion_by_two_workers_with_its_error(
    lyra: Path, tmp_path: Path, warm_workers: None
) -> None:
    settings = FromLyraSettings(ClipSettings(False, "half"), 2, skip_broken=False)
    with LyraSource(lyra) as source, pytest.raises(InputError, match="npz") as caught:
        convert_from_lyra(
            source,
            tmp_path / "out",
            settings,
            scratch=tmp_path / ".work",
            progress=silent,
            crew=TWO,
        )
    assert caught.value.where == str(lyra / "static/1/pose/still.npz")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("convert", [convert_to_lyra, convert_to_webdataset])
def test_other_layouts_have_the_same_bytes_by_two_workers(
    convert: Callable[..., Any], dataset: Path, tmp_path: Path, warm_workers: None
) -> None:
    alone = convert(SceneDataset(dataset), tmp_path / "alone", silent)
    assert convert(SceneDataset(dataset), tmp_path / "two", silent, crew=TWO) == alone
    assert sha256_of_files(tmp_path / "two") == sha256_of_files(tmp_path / "alone")
    assert not (tmp_path / ".work").exists()


def test_a_killed_conversion_writes_only_the_views_again_that_it_was_at(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = to_lyra.write_view

    def stops_at_the_third(view: Any, task: Any, item: Path) -> None:
        written.append(task.name)
        if len(written) == 3:
            raise KeyboardInterrupt
        real(view, task, item)

    stops_at_the_third.__module__ = real.__module__  # whose code the key of a view states
    monkeypatch.setattr(to_lyra, "write_view", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        convert_to_lyra(SceneDataset(dataset), tmp_path / "killed", silent)
    assert not (tmp_path / "killed").exists()
    convert_to_lyra(SceneDataset(dataset), tmp_path / "killed", silent)
    assert written == ["a/0", "a/1", "b/0", "b/0", *written[4:]]
    assert len(set(written)) == len(written) - 1
    monkeypatch.undo()
    convert_to_lyra(SceneDataset(dataset), tmp_path / "whole", silent)
    assert sha256_of_files(tmp_path / "killed") == sha256_of_files(tmp_path / "whole")


@pytest.mark.parametrize("disk", ["little fits", "full"])
@pytest.mark.parametrize("convert", [convert_to_lyra, convert_to_webdataset])
def test_a_conversion_to_a_full_disk_is_refused_and_goes_on_later(
    convert: Callable[..., Any], disk: str, dataset: Path, tmp_path: Path
) -> None:
    broken, what, _ = DISKS[disk]
    with broken(), pytest.raises(StorageError, match=what):
        convert(SceneDataset(dataset), tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    convert(SceneDataset(dataset), tmp_path / "out", silent)
    convert(SceneDataset(dataset), tmp_path / "whole", silent)
    assert sha256_of_files(tmp_path / "out") == sha256_of_files(tmp_path / "whole")
    assert not list(tmp_path.rglob(".partial-*"))


def test_like_scenes_are_the_same_by_two_workers(
    dataset: Path, warm_workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = OpenedDataset(dataset)
    pairs = find_duplicates(opened, threshold=12, progress=silent)
    assert [(pair.scene, pair.other, pair.is_leak) for pair in pairs] == [("a", "c", True)]
    monkeypatch.setattr(picture_hashes, "SCENES_OF_A_TASK", 1)
    assert find_duplicates(opened, threshold=12, progress=silent, crew=TWO) == pairs


VERBS = {
    "check": ["lyra_data.dataset.checks.dataset_check"],
    "dedup": ["lyra_data.dataset.editing.picture_hashes"],
    "convert": ["lyra_data.dataset.convert.view_items", "out"],
}
"""Verb -> the module that opens its workers, and further arguments."""


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_hand_their_crew_on(
    dataset: Path, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crews: list[Crew] = []

    def refuse(setup: Any, crew: Crew) -> None:
        crews.append(crew)
        raise InputError("enough is known")

    module, *arguments = VERBS[verb]
    monkeypatch.setattr(f"{module}.open_executor", refuse)
    monkeypatch.chdir(tmp_path)
    line = [verb, str(dataset), *arguments]
    options = ["--executor", "ray", "--workers", "3", "--ray-address", "head:1"]
    CliRunner().invoke(app, [*line, *options])
    monkeypatch.setitem(os.environ, "LYRA_WORKERS", "2")
    CliRunner().invoke(app, line)
    assert [(crew.executor, crew.ray_address) for crew in crews] == [
        ("ray", "head:1"),
        ("local", "auto"),
    ]
    num_tasks = 1 if verb == "dedup" else 100  # three scenes are one task
    assert [crew.workers for crew in crews] == [min(3, num_tasks), min(2, num_tasks)]
    assert {crew.device for crew in crews} == {"cpu"}
