"""What is done for every scene goes through no list of all scenes: work grows as they do."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from lyra_data.dataset.checks.rows import check_shards
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.reading import plain_columns
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.finished_scenes import dropped_of
from tests.factories import make_view

SCENES = "abcdefgh"


class CountedTuple(tuple):
    """Counts how often it is gone through."""

    walks = 0

    def __iter__(self) -> Iterator:
        type(self).walks += 1
        return super().__iter__()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> DatasetFiles:
    """A scene in every shard."""
    folder = tmp_path_factory.mktemp("data") / "dataset"
    views = [make_view(scene, seed=ord(scene)) for scene in SCENES]
    write_dataset(views, folder, splits=None, scenes_per_shard=1, provenance={})
    return DatasetFiles.open(folder)


@pytest.fixture(autouse=True)
def no_walks() -> None:
    CountedTuple.walks = 0


def with_field(manifest: Manifest, **changes: tuple) -> Manifest:
    return dataclasses.replace(manifest, **changes)


def test_shards_are_checked_without_going_through_all_scenes_for_each(files: DatasetFiles) -> None:
    scenes = CountedTuple(files.manifest.scenes)
    counted = DatasetFiles(files.ranges, with_field(files.manifest, scenes=scenes))
    assert check_shards(counted) == []
    assert CountedTuple.walks == 1


def test_dropped_views_of_a_scene_are_found_without_going_through_all(files: DatasetFiles) -> None:
    views = [
        DroppedView(scene, index, "left", False, (f"reason {index}",))
        for index in range(2)
        for scene in SCENES[1:]
    ]
    manifest = with_field(files.manifest, dropped=CountedTuple(views))
    for scene in SCENES:
        assert dropped_of(manifest, scene) == [view for view in views if view.scene_id == scene]
    assert CountedTuple.walks == 1


def test_a_scene_is_read_without_going_through_all_shards(files: DatasetFiles) -> None:
    shards = CountedTuple(files.manifest.shards)
    counted = DatasetFiles(files.ranges, with_field(files.manifest, shards=shards))
    walks = []
    for scene in counted.manifest.scenes:
        for modality in counted.modalities:
            assert counted.blobs(scene, modality)
        walks.append(CountedTuple.walks)
    assert walks[0] == walks[-1]


def test_footers_of_shards_go_when_the_next_are_read(
    files: DatasetFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[weakref.ref[pq.FileMetaData]] = []
    parse = plain_columns.parse_footer

    def watch(footer: bytes) -> pq.FileMetaData:
        metadata = parse(footer)
        parsed.append(weakref.ref(metadata))
        return metadata

    monkeypatch.setattr(plain_columns, "parse_footer", watch)
    monkeypatch.setattr(plain_columns, "MAX_FOOTER_BYTES", 0)
    opened = DatasetFiles(files.ranges, files.manifest)
    gc.disable()  # what only the collector would find counts as kept
    try:
        assert check_shards(opened) == []
        kept = sum(reference() is not None for reference in parsed)
    finally:
        gc.enable()
    assert len(parsed) == len(files.manifest.shards) > 40
    assert kept <= 2
