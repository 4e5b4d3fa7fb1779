"""The index of a dataset is looked at a few rows at a time, however many scenes it names."""

from __future__ import annotations

import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.format import blob_index
from lyra_data.dataset.format.blob_index import BlobIndex, IndexBytes
from lyra_data.dataset.format.layout import MODALITIES, index_path
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from tests.factories import make_view


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of two scenes each."""
    views = [make_view(scene, 0, seed=ord(scene)) for scene in "abcdef"]
    target = tmp_path_factory.mktemp("data") / "dataset"
    write_dataset(views, target, splits=None, scenes_per_shard=2, provenance={})
    return target


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of all rows that became Python's objects, in their order."""
    files: list[str] = []
    entry = blob_index._entry

    def watch(row: dict[str, Any]) -> blob_index.BlobEntry:
        files.append(row["file"])
        return entry(row)

    monkeypatch.setattr(blob_index, "_entry", watch)
    return files


def test_the_rows_of_a_file_are_made_a_few_at_a_time_and_those_of_no_other(
    folder: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_index, "ROWS_AT_A_TIME", 1)
    files = DatasetFiles.open(folder)
    second = files.manifest.shards_of(["rgb"])[1].path
    first_row = list(islice(files.index("rgb").entries_of(second), 1))
    assert [entry.file for entry in first_row] == parsed == [second]


def test_a_check_looks_at_every_row_of_the_index_once(folder: Path, parsed: list[str]) -> None:
    files = DatasetFiles.open(folder)
    every = {
        modality: [
            entry
            for shard in files.manifest.shards_of([modality])
            for entry in files.index(modality).entries_of(shard.path)
        ]
        for modality in MODALITIES
    }
    num_rows = sum(map(len, every.values()))
    # A scene has the plain columns of every modality, and each of its blobs.
    assert {entry.file for entry in every["rgb"]} == {
        shard.path for shard in files.manifest.shards_of(["rgb"])
    }
    parsed.clear()
    assert not check_dataset(folder, sample=0, progress=silent).findings
    # Once by the hashes of all parts, and once when scenes are looked at.
    assert len(parsed) == 2 * num_rows


def test_a_file_that_the_index_does_not_name_has_no_rows(folder: Path) -> None:
    assert list(DatasetFiles.open(folder).index("rgb").entries_of("data/rgb/none.parquet")) == []


def test_rows_of_a_shard_are_read_when_a_scene_of_it_is_and_only_the_last_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    whole = blob_index.pq.ParquetFile.read_row_group

    def watch(file: Any, group: int, columns: Any = None, **options: Any) -> Any:
        if columns is None:
            read.append(group)
        return whole(file, group, columns, **options)

    monkeypatch.setattr(blob_index.pq.ParquetFile, "read_row_group", watch)
    monkeypatch.setattr(blob_index, "MAX_HELD_BYTES", 1)
    files = DatasetFiles.open(folder)
    index = files.index("rgb")
    assert read == []
    for scene in "eabf":
        assert index.entries(scene)
    assert read == [2, 0, 2]
    assert len(index._tables) == 1


def test_an_index_in_memory_and_one_in_a_folder_say_the_same(folder: Path) -> None:
    files = DatasetFiles.open(folder)
    for modality in MODALITIES:
        data = (folder / index_path(modality)).read_bytes()
        here, there = BlobIndex(IndexBytes(data)), files.index(modality)
        assert here.files() == there.files()
        assert all(here.entries(scene) == there.entries(scene) for scene in "abcdef")


def test_a_scene_whose_rows_go_on_in_the_next_row_group_has_all_of_them(folder: Path) -> None:
    with pq.ParquetFile(folder / index_path("mask")) as file:
        rows = file.read()
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, row_group_size=4)
    cut = BlobIndex(IndexBytes(sink.getvalue().to_pybytes()))
    whole = DatasetFiles.open(folder).index("mask")
    assert all(cut.entries(scene) == whole.entries(scene) for scene in "abcdef")
    for file in whole.files():
        assert list(cut.entries_of(file)) == list(whole.entries_of(file))


def test_an_index_in_a_folder_can_be_pickled(folder: Path) -> None:
    index = DatasetFiles.open(folder).index("rgb")
    before = index.entries("a")
    assert pickle.loads(pickle.dumps(index)).entries("a") == before
