"""Packaging goes on where it was killed, in constant memory, and refuses what it cannot keep."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import stages.package
from lyra_data.dataset.packaging import worker
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import (
    CorruptDataError,
    InputError,
    ScenesFailedError,
    StageOrderError,
    StorageError,
)
from lyra_data.engine.executors import worker_process
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.engine.progress import SilentProgress, silent
from lyra_data.scene.view import View
from lyra_data.views.fields import Row
from lyra_data.views.store import view_path, write_view
from stages.cli import app
from tests.children import kill_after_first, succeeds_in_fresh_process
from tests.factories import assert_views_equal, make_view
from tests.pipeline.project import Project

LOSSLESS = {"rgb": "lossless", "depth": "lossless", "latents": "lossless"}
VIEWS = [make_view(scene, index, seed=ord(scene)) for scene in "abcd" for index in range(2)]


class CountedProgress(SilentProgress):
    """Counts what was done, and how much was announced, by the name of the bar."""

    def __init__(self) -> None:
        self.total: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def start(self, description: str, total: int, unit: str) -> None:
        self.name = description
        self.total[description], self.done[description] = total, 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done[self.name] += count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for view in VIEWS:
        write(tmp_path, view)
    return tmp_path


def write(folder: Path, view: View) -> None:
    path = view_path(folder / "views", view.scene_id, view.view_index, view.trajectory)
    write_view(path, view)


def package(
    folder: Path, progress=silent, dataset: str = "dataset", crew: Crew | None = None, **changes
):
    params = {
        "scenes_per_shard": 2,
        "validation_fraction": 0.0,
        "validation_scenes": (),
        **LOSSLESS,
        **changes,
    }
    return package_views(
        PackageParams(**params),
        views=folder / "views",
        dataset=folder / dataset,
        scratch=folder / "scratch",
        progress=progress,
        crew=crew,
    )


def assert_holds_all(folder: Path) -> None:
    dataset = SceneDataset(folder, verify="full")
    found = [view for scene in range(len(dataset)) for view in dataset.scene(scene)]
    for one, other in zip(found, VIEWS, strict=True):
        assert_views_equal(one, other)


def count_packed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    packed = []
    real = worker.read_row
    monkeypatch.setattr(worker, "read_row", lambda path: packed.append(path) or real(path))
    return packed


def test_a_second_run_encodes_nothing_and_gives_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(folder)
    packed = count_packed(monkeypatch)
    package(folder, dataset="again")
    assert packed == []
    assert sha256_of_folder(folder / "again") == sha256_of_folder(folder / "dataset")
    assert_holds_all(folder / "again")


def test_a_view_is_kept_in_three_files(folder: Path) -> None:
    """Scratch folders of half a million views have an end of inodes."""
    package(folder)
    views = list((folder / "scratch" / "package").iterdir())
    assert len(views) == len(VIEWS)
    assert {path.name for path in views[0].iterdir()} == {
        "tables.arrow",
        "facts.json",
        "contents.json",
    }


def test_only_views_that_changed_are_encoded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = package(folder)
    write(folder, make_view("c", 1, seed=999))
    packed = count_packed(monkeypatch)
    second = package(folder)
    assert [(path.parent.name, path.stem) for path in packed] == [("c", "001_right")]
    assert first.dataset_hash != second.dataset_hash


@pytest.mark.parametrize("changes", [{"rgb": "compat"}, {"depth": "half"}, {"latents": "half"}])
def test_another_encoding_is_another_dataset(folder: Path, changes: dict[str, str]) -> None:
    first, second = package(folder), package(folder, **changes)
    assert first.dataset_hash != second.dataset_hash
    assert second.encoding == {**LOSSLESS, **changes}


def test_progress_reaches_its_total_whether_views_are_encoded_or_found(folder: Path) -> None:
    for _ in range(2):
        progress = CountedProgress()
        package(folder, progress)
        assert progress.done == progress.total == {"Packaging": len(VIEWS), "Assembling": 4}


def test_views_encoded_one_by_one_make_the_dataset_of_scenes_packed_whole(folder: Path) -> None:
    packaged = package(folder)
    whole = write_dataset(
        VIEWS, folder / "whole", splits=None, scenes_per_shard=2, provenance=packaged.provenance
    )
    assert whole == packaged
    assert sha256_of_folder(folder / "whole") == sha256_of_folder(folder / "dataset")


@pytest.mark.usefixtures("warm_workers")
def test_any_number_of_processes_gives_the_bytes_of_one(folder: Path) -> None:
    package(folder)
    for workers in (1, 3):
        shutil.rmtree(folder / "scratch")
        package(folder, dataset=f"by-{workers}", crew=Crew(workers=workers, device="cpu"))
        assert sha256_of_folder(folder / f"by-{workers}") == sha256_of_folder(folder / "dataset")


@pytest.mark.usefixtures("warm_workers")
def test_a_view_whose_worker_is_killed_is_encoded_by_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "serve", dying_once_at_b)
    progress = CountedProgress()
    package(folder, progress, crew=Crew(workers=1, device="cpu"))
    assert (folder / "died").exists()
    assert progress.done["Packaging"] == len(VIEWS)
    assert_holds_all(folder / "dataset")
    assert not list(folder.glob("**/.partial-*"))


def dying_once_at_b(setup: worker.PackagingSetup, *rest: Any) -> None:
    """The life of a worker process that is killed at the first view of scene b."""
    usual, died = worker.read_row, setup.scratch.parent / "died"

    def read_row(path: Path) -> Row:
        if path.parent.name == "b" and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(path)

    worker.read_row = read_row
    worker_process.serve(setup, *rest)


@pytest.mark.usefixtures("warm_workers")
def test_a_view_that_kills_every_worker_is_named_and_the_others_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(worker_process, "serve", dying_always_at_b0)
        with pytest.raises(ScenesFailedError, match=r"1 of 8 failed(?s:.*)b/000_right: the worker"):
            package(folder, crew=Crew(workers=1, device="cpu"))
    assert not (folder / "dataset").exists()
    packed = count_packed(monkeypatch)
    package(folder)
    assert [(path.parent.name, path.stem) for path in packed] == [("b", "000_right")]


def dying_always_at_b0(*arguments: Any) -> None:
    """The life of a worker process that the first view of scene b kills."""
    usual = worker.read_row

    def read_row(path: Path) -> Row:
        if (path.parent.name, path.stem) == ("b", "000_right"):
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(path)

    worker.read_row = read_row
    worker_process.serve(*arguments)


def test_scenes_of_two_codecs_are_refused_before_any_is_encoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = make_view("e", 0)
    write(folder, View(**{**vars(odd), "provenance": {**odd.provenance, "codec": "cosmos"}}))
    packed = count_packed(monkeypatch)
    with pytest.raises(CorruptDataError, match="codec cosmos") as caught:
        package(folder)
    assert caught.value.where == "scene e, view 0"
    assert packed == []


def _package_anew_forever(folder: Path) -> Iterator[None]:
    """Every round is another dataset as far as the scratch store knows."""
    number = 0
    while True:
        package(folder, dataset=f"dataset-{number}")
        yield
        number = 1
        for path in (folder / "scratch" / "package").glob("*"):
            path.joinpath("facts.json").unlink(missing_ok=True)  # damaged: it is made again


@pytest.mark.slow
def test_a_run_killed_at_any_moment_leaves_no_half_dataset_and_the_next_goes_on(
    folder: Path,
) -> None:
    assert succeeds_in_fresh_process(_kill_packaging_at_any_moment, folder)


def _kill_packaging_at_any_moment(folder: Path) -> None:
    draw = random.Random(7)
    for _ in range(8):
        kill_after_first(draw.uniform(0.0, 1.0), _package_anew_forever(folder))
        for dataset in folder.glob("dataset-*"):
            assert_holds_all(dataset)
    package(folder)
    assert_holds_all(folder / "dataset")
    assert not list(folder.glob("**/.partial-*"))


def test_a_disk_that_fills_up_is_told_and_finished_scenes_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 12:
            raise OSError(28, os.strerror(28))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(StorageError, match="No space left"):
            package(folder)
    assert not (folder / "dataset").exists()
    packed = count_packed(monkeypatch)
    package(folder)
    assert 0 < len(packed) < len(VIEWS)
    assert_holds_all(folder / "dataset")


@pytest.mark.usefixtures("warm_workers")
def test_depth_that_halves_cannot_hold_is_refused_with_the_key_to_change(folder: Path) -> None:
    far = make_view("far", 0)
    depth = torch.where(far.depth_valid, torch.full_like(far.depth, 1e6), 0.0)
    write(folder, View(**{**vars(far), "depth": depth}))
    package(folder)
    for crew in (Crew(), Crew(workers=1, device="cpu")):
        with pytest.raises(InputError, match=r"(?s)scene far, view 0.*`package.depth: lossless`"):
            package(folder, depth="half", crew=crew)


def test_latents_say_whether_halves_are_exact(folder: Path) -> None:
    exact = make_view("exact", 0)
    write(folder, View(**{**vars(exact), "latents": exact.latents.half().float()}))
    manifest = package(folder, latents="half")
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "dataset" / "data" / "latent").to_pylist()
    found = {row["scene_id"]: row["latent_source_exact"] for row in table}
    assert found == {**dict.fromkeys("abcd", False), "exact": True}
    latents = SceneDataset(folder / "dataset").read_fields("exact", ["latents"])[0]["latents"]
    assert torch.equal(latents, exact.latents.half().float())
    everything = torch.cat([*(view.latents.flatten(1) for view in VIEWS), latents.flatten(1)], 1)
    assert len(manifest.latent_channels) == len(everything)
    for channel, values in zip(manifest.latent_channels, everything.double(), strict=True):
        assert channel.mean == pytest.approx(float(values.mean()), abs=1e-4)
        assert channel.std == pytest.approx(float(values.std(unbiased=False)), rel=1e-4)


def test_a_damaged_view_is_refused_with_the_stage_to_run(folder: Path) -> None:
    path = view_path(folder / "views", "b", 0, "right")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match="lyra-data generate") as caught:
        package(folder)
    assert caught.value.where == str(path)


def test_the_verb_hands_over_who_works_and_its_own_variable_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project")
    (project.root / "outputs" / "views").mkdir(parents=True)
    crews = []

    def refuse(params: PackageParams, *, crew: Crew, **options: Any) -> None:
        crews.append(crew)
        raise StageOrderError("enough is known")

    monkeypatch.setattr(stages.package, "package_views", refuse)
    verb = ["package", "--params", str(project.params_file)]
    options = ["--executor", "ray", "--workers", "3", "--ray-address", "head:1"]
    CliRunner().invoke(app, [*verb, *options])
    CliRunner().invoke(app, verb, env={"LYRA_PACKAGE_WORKERS": "2", "LYRA_WORKERS": "5"})
    CliRunner().invoke(app, verb, env={"LYRA_WORKERS": "5"})
    root = project.root.resolve()
    assert crews == [
        Crew("ray", 3, "head:1", "cpu", root=root),
        Crew(workers=2, device="cpu", root=root),
        Crew(workers=5, device="cpu", root=root),
    ]
    refused = CliRunner().invoke(app, verb, env={"LYRA_PACKAGE_WORKERS": "0"})
    assert refused.exit_code == 2 and "LYRA_PACKAGE_WORKERS" in refused.output
