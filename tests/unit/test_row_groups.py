"""Row groups of large scenes: none is too large for any reader, and small scenes stay as before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.comparison.compare import compare_datasets
from lyra_data.dataset.editing.conditions import Condition
from lyra_data.dataset.editing.filtering import CONDITION_COLUMNS, ViewFilter, filter_dataset
from lyra_data.dataset.editing.merging import merge_datasets
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.format.manifest import CARD_PATH, MANIFEST_PATH, parse_manifest
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing import row_groups
from lyra_data.dataset.writing.row_groups import rows_of_groups
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.progress import silent
from lyra_data.packing.cuts import CUT_SCHEMA
from lyra_data.scene.view import View
from tests.factories import assert_views_equal, make_view

VIEWS = {"a": 1, "b": 5, "c": 3}


def views() -> list[View]:
    return [
        make_view(scene, index, seed=ord(scene) + index)
        for scene, count in VIEWS.items()
        for index in range(count)
    ]


def write(folder: Path, **options: Any) -> Path:
    settings = {"splits": None, "scenes_per_shard": 10, "provenance": {"made": "here"}}
    write_dataset(views(), folder, **settings | options)
    return folder


def rgb_bytes(folder: Path, scene: str) -> list[int]:
    """Bytes of the video of every view."""
    files = DatasetFiles.open(folder)
    entry = next(one for one in files.manifest.scenes if one.scene_id == scene)
    blobs = files.blobs(entry, "rgb")
    return [blobs[view, "frames"].table.ends[-1] for view in entry.view_indices]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "dataset")


@pytest.fixture
def limit(whole: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Two videos of a scene fit in a row group, three do not."""
    sizes = [size for scene in VIEWS for size in rgb_bytes(whole, scene)]
    limit = 2 * max(sizes)
    assert 3 * min(sizes) > limit
    monkeypatch.setattr(row_groups, "ROW_GROUP_BYTES", limit)
    return limit


@pytest.fixture
def split(tmp_path: Path, limit: int) -> Path:
    return write(tmp_path / "split")


def test_small_scenes_are_stated_as_before(whole: Path) -> None:
    content = json.loads((whole / MANIFEST_PATH).read_text())
    assert content["format_version"] == 2
    assert set(content["scenes"][0]) == {
        *("scene_id", "split", "shard", "row_group", "view_indices")
    }


def test_a_large_scene_has_row_groups_below_the_limit_in_every_modality(
    split: Path, limit: int
) -> None:
    manifest = DatasetFiles.open(split).manifest
    assert manifest.format_version == 3
    assert [scene.group_rows for scene in manifest.scenes] == [(), (2, 2, 1), (2, 1)]
    assert [scene.row_group for scene in manifest.scenes] == [0, 1, 4]
    for modality in MODALITIES:
        (file,) = (split / "data" / modality).iterdir()
        metadata = pq.read_metadata(file)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        assert [group.num_rows for group in groups] == [1, 2, 2, 1, 2, 1]
    for scene in VIEWS:
        sizes, begin = rgb_bytes(split, scene), 0
        entry = next(one for one in manifest.scenes if one.scene_id == scene)
        for rows in entry.rows_of_groups:
            assert sum(sizes[begin : begin + rows]) <= limit
            begin += rows


def test_our_reader_gives_the_same_views_and_frames(split: Path) -> None:
    dataset = SceneDataset(split, verify="full")
    found = [view for scene in range(len(dataset)) for view in dataset.scene(scene)]
    for one, other in zip(found, views(), strict=True):
        assert_views_equal(one, other)
    rows = dataset.read_fields("b", ["frames", "seed"], view_indices=[4, 1], frames=[3])
    whole = {(view.scene_id, view.view_index): view for view in views()}
    assert [row["seed"] for row in rows] == [whole["b", view].seed for view in (4, 1)]
    assert (rows[0]["frames"] == whole["b", 4].frames[[3]]).all()


def test_other_readers_give_the_same_rows(split: Path, whole: Path) -> None:
    for modality in ("preview", "rgb", "camera"):
        tables = [
            pyarrow.dataset.dataset(folder / "data" / modality).to_table()
            for folder in (split, whole)
        ]
        assert tables[0].equals(tables[1])
    options = {"split": "train", "streaming": True}
    rows = list(load_dataset(str(split), "rgb", **options))
    assert [(row["scene_id"], row["view_index"]) for row in rows] == [
        (scene, index) for scene, count in VIEWS.items() for index in range(count)
    ]


def test_a_split_dataset_has_no_findings_and_equals_the_whole_one(split: Path, whole: Path) -> None:
    assert check_dataset(split, sample=0, progress=silent).findings == ()
    difference = compare_datasets(str(whole), str(split), progress=silent)
    assert difference.is_equal
    assert difference.a.dataset_hash != difference.b.dataset_hash


def test_damage_in_a_later_row_group_is_found(split: Path) -> None:
    files = DatasetFiles.open(split)
    entry = files.manifest.scenes[1]
    place = files.plain_columns(entry, "camera")[2]
    path = split / place.file
    data = bytearray(path.read_bytes())
    data[place.bounds(0)[1] - 1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptDataError, match=path.name):
        SceneDataset(split).read_fields("b", ["camera_to_world"])
    findings = check_dataset(split, sample=0, progress=silent).findings
    assert "file-hashes" in {finding.rule for finding in findings}


def test_copies_of_split_scenes_are_those_that_packaging_makes(split: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"scenes_per_shard": 10, "progress": silent}
    inputs = [OpenedDataset(split)]
    merged = merge_datasets(inputs, tmp_path / "merged", prefixes=None, **options)
    assert merged.manifest.dataset_hash == DatasetFiles.open(split).manifest.dataset_hash
    kept = ViewFilter(where=(Condition("view_index != 1", CONDITION_COLUMNS),))
    fewer = filter_dataset(inputs[0], tmp_path / "fewer", kept, **options).manifest
    assert [len(scene.view_indices) for scene in fewer.scenes] == [1, 4, 2]
    assert [scene.group_rows for scene in fewer.scenes] == [(), (2, 2), ()]
    assert check_dataset(tmp_path / "fewer", sample=0, progress=silent).findings == ()


def test_a_row_group_that_the_file_lacks_is_found(split: Path) -> None:
    text = json.loads((split / MANIFEST_PATH).read_text())
    for groups in ((3, 2), (5, 0), (4, 2), (5,), (2.0, 3), (True, 4), "12"):
        scenes = [dict(scene) for scene in text["scenes"]]
        scenes[1]["group_rows"] = groups
        altered = _with_scenes(text, scenes)
        if groups == (3, 2):
            parse_manifest(altered, "here")
            (split / MANIFEST_PATH).write_bytes(altered)
            found = check_dataset(split, sample=0, progress=silent).findings
            assert "row-counts" in {finding.rule for finding in found}
        else:
            with pytest.raises(CorruptDataError):
                parse_manifest(altered, "here")


def _with_scenes(text: dict[str, Any], scenes: list[dict[str, Any]]) -> bytes:
    """A manifest that states these scenes, its hashes right, as a stranger could write it."""
    content = {key: value for key, value in text.items() if not key.endswith("_hash")}
    content = {
        "format_version": text["format_version"],
        "layout_hash": text["layout_hash"],
        **{key: value for key, value in content.items() if key != "format_version"},
        "scenes": scenes,
    }
    outer = {key: value for key, value in content.items() if key not in ("provenance", "dropped")}
    outer["files"] = [one for one in outer["files"] if one["path"] != CARD_PATH.as_posix()]
    hashes = {"dataset_hash": content_key(outer), "manifest_hash": content_key(content)}
    return (json.dumps({**hashes, **content}, indent=1, ensure_ascii=False) + "\n").encode()


def cuts(sizes: Sequence[int], field: str = "frames") -> pa.Table:
    rows = [
        {
            **{"scene_id": "a", "view_index": view, "field": field, "length": size},
            **{"part_ends": [size], "part_xxh3": [0], "num_leading": 0, "key_frames": []},
            **{"shape": [1], "codec": "h264", "config": b""},
        }
        for view, size in enumerate(sizes)
    ]
    return pa.Table.from_pylist(rows, schema=CUT_SCHEMA)


@pytest.mark.parametrize(
    ("video", "depth", "groups"),
    [
        ([10, 20, 30], [1, 1, 1], (3,)),
        ([60, 40, 1], [1, 1, 1], (2, 1)),
        ([60, 40, 1], [50, 51, 49], (1, 2)),
        ([300, 1, 300], [1, 1, 1], (1, 1, 1)),
        ([0, 0, 0], [0, 0, 0], (3,)),
    ],
)
def test_views_are_dealt_out_by_the_largest_modality(
    monkeypatch: pytest.MonkeyPatch, video: list[int], depth: list[int], groups: tuple[int, ...]
) -> None:
    monkeypatch.setattr(row_groups, "ROW_GROUP_BYTES", 100)
    tables = [cuts(video), cuts(depth, "depth"), cuts([])]
    assert rows_of_groups(range(3), tables) == groups
