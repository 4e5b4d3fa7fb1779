"""The index of a dataset is looked at a few rows at a time, however many scenes it names."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.format import blob_index
from lyra_data.dataset.format.layout import MODALITIES
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
