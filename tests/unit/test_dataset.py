"""A dataset is read as it was written, or refused.

Long because its cases share how a dataset is damaged.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lyra_data.dataset.format import manifest as manifest_module
from lyra_data.dataset.format.layout import MODALITIES, columns_of
from lyra_data.dataset.format.layout import arrow_schema as schema_of
from lyra_data.dataset.format.manifest import MANIFEST_PATH
from lyra_data.dataset.format.splits import split_by_source
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.packed_scene import PackedScene
from lyra_data.dataset.writing.writer import assemble_dataset, pack_scenes, write_dataset
from lyra_data.engine.errors import (
    CorruptDataError,
    InputError,
    ParamsError,
    StageOrderError,
    StorageError,
)
from lyra_data.engine.hashing import sha256_of_files, sha256_of_folder
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.quality import NUMBERS, ViewQuality
from lyra_data.scene.view import View
from lyra_data.views.fields import FIELDS, VIEW_FIELDS, Row, row_from_view
from lyra_data.views.schema import arrow_schema
from lyra_data.views.store import write_view
from tests.children import kill_after_first, succeeds_in_fresh_process
from tests.factories import assert_views_equal, make_quality, make_view

SCENES = ("a", "b", "c")
Verify = Literal["index", "full"]


def _views(scenes: tuple[str, ...] = SCENES, num_views: int = 2) -> list[View]:
    return [
        make_view(scene, index, seed=number + 1)
        for number, scene in enumerate(scenes)
        for index in range(num_views)
    ]


def _write(folder: Path, views: list[View] | None = None, **options):
    settings = {"splits": None, "scenes_per_shard": 2, "provenance": {"params_hash": "p"}}
    return write_dataset(_views() if views is None else views, folder, **{**settings, **options})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _write(tmp_path / "dataset")
    return tmp_path / "dataset"


def test_every_attribute_of_a_view_has_a_column() -> None:
    attributes = {field.name for field in dataclasses.fields(View)}
    parts = {"camera_to_world", "intrinsics", *NUMBERS}
    assert parts <= set(VIEW_FIELDS)
    assert (set(VIEW_FIELDS) - parts) | {"cameras", "quality"} == attributes


def test_only_measured_numbers_may_be_null() -> None:
    assert {field.name for field in arrow_schema() if field.nullable} == set(NUMBERS)
    unmeasured = dataclasses.replace(make_view(), quality=ViewQuality.unmeasured())
    pa.Table.from_pylist([row_from_view(unmeasured)], schema=arrow_schema()).validate(full=True)


def test_a_number_that_could_not_be_measured_comes_back_as_none(folder: Path) -> None:
    quality = SceneDataset(folder).scene("b")[1].quality
    assert quality == make_quality() and quality.cache_displacement_pixels is None
    (chosen,) = SceneDataset(folder).read_fields(
        "b", ["cache_displacement_pixels", "cache_psnr_db"], view_indices=[1]
    )
    assert chosen == {"cache_displacement_pixels": None, "cache_psnr_db": 31.5}


def test_a_number_is_finite_or_none(tmp_path: Path) -> None:
    odd = dataclasses.replace(make_view(), quality=make_quality(sharpness_ratio=float("nan")))
    with pytest.raises(ValueError, match="Out of range"):
        write_view(tmp_path / "view.parquet", odd)


def test_scenes_come_back_to_the_bit(folder: Path) -> None:
    dataset = SceneDataset(folder, verify="full")
    assert dataset.scene_ids == list(SCENES) and len(dataset) == 3
    found = [view for scene in range(len(dataset)) for view in dataset.scene(scene)]
    for one, other in zip(found, _views(), strict=True):
        assert_views_equal(one, other)
    assert_views_equal(dataset.scene("b")[1], _views()[3])


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_row_is_a_view_and_a_row_group_a_scene_in_every_modality(
    folder: Path, modality: str
) -> None:
    names = [f"train-0000{number}-of-00002.parquet" for number in range(2)]
    assert sorted(path.name for path in (folder / "data" / modality).iterdir()) == names
    groups = []
    for name in names:
        file = pq.ParquetFile(folder / "data" / modality / name)
        assert file.schema_arrow.equals(schema_of(modality))
        assert file.schema_arrow.metadata == schema_of(modality).metadata
        groups += [file.read_row_group(index)["scene_id"] for index in range(file.num_row_groups)]
    assert [group.to_pylist() for group in groups] == [[scene, scene] for scene in SCENES]


def test_some_frames_of_some_columns_are_those_of_the_whole_view(folder: Path) -> None:
    dataset = SceneDataset(folder)
    whole = _views()[3]
    part = dataset["b"].read_view(1, frames=[5, 0])
    assert torch.equal(part.frames, whole.frames[[5, 0]])
    assert torch.equal(part.cameras.camera_to_world, whole.cameras.camera_to_world[[5, 0]])
    assert torch.equal(part.latents, whole.latents)
    chosen = dataset.read_fields("b", ["depth", "seed"], view_indices=[1, 0], frames={1: [8]})
    assert [list(values) for values in chosen] == [["depth", "seed"]] * 2
    assert torch.equal(chosen[0]["depth"], whole.depth[[8]])
    assert torch.equal(chosen[1]["depth"], _views()[2].depth)
    assert chosen[0]["seed"] == whole.seed


def test_only_the_frames_asked_for_and_those_back_to_a_key_frame_are_decoded(folder: Path) -> None:
    dataset = SceneDataset(folder)
    dataset["a"].read_fields(["frames"], view_indices=[0], frames=[8, 3])
    assert dataset.counts.parts == {"frames": 5}  # 0 to 3, and 8


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("compat", "half", "half")])
def test_every_blob_ends_with_a_byte_that_is_not_zero(tmp_path: Path, encoding: Encoding) -> None:
    """Some readers strip trailing zero bytes of binary columns."""
    _write(tmp_path / "dataset", encoding=encoding)
    num_blobs = 0
    for path in (tmp_path / "dataset" / "data").glob("*/*.parquet"):
        for row in pq.read_table(path).to_pylist():
            values = [v["bytes"] if isinstance(v, dict) else v for v in row.values()]
            blobs = [value for value in values if isinstance(value, bytes)]
            num_blobs += len(blobs)
            assert all(blob[-1] != 0 for blob in blobs)
    assert num_blobs == 7 * 6


def test_two_runs_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    _write(tmp_path / "again")
    assert sha256_of_folder(tmp_path / "again") == sha256_of_folder(folder)


def test_the_dataset_hash_sees_a_single_pixel(folder: Path, tmp_path: Path) -> None:
    views = _views()
    frames = views[-1].frames.clone()
    frames[-1, -1, -1, -1] ^= 1
    changed = _write(
        tmp_path / "changed", [*views[:-1], dataclasses.replace(views[-1], frames=frames)]
    )
    assert changed.dataset_hash != SceneDataset(folder).manifest.dataset_hash


def test_sharding_keeps_the_order_and_the_content(tmp_path: Path) -> None:
    for scenes_per_shard in (1, 2, 5):
        target = tmp_path / str(scenes_per_shard)
        _write(target, scenes_per_shard=scenes_per_shard)
        dataset = SceneDataset(target)
        assert dataset.scene_ids == list(SCENES)
        assert_views_equal(dataset["c"].read_view(0), _views()[4])


def test_the_manifest_lists_every_file_with_its_hash(folder: Path) -> None:
    files = sha256_of_files(folder)
    files.pop(MANIFEST_PATH.as_posix())
    content = json.loads((folder / MANIFEST_PATH).read_text())
    listed = content["shards"] + content["files"]
    assert {entry["path"]: entry["sha256"] for entry in listed} == files
    assert content["codec"] == {"name": "dct", "fingerprint": "dct-test"}
    assert content["provenance"] == {"params_hash": "p"}


def _refusal(folder: Path, verify: Verify = "index") -> CorruptDataError | None:
    """Read everything: the error, or None where all of it is as it was written."""
    try:
        dataset = SceneDataset(folder, verify=verify)
        found = [view for scene in range(len(dataset)) for view in dataset.scene(scene)]
    except CorruptDataError as error:
        return error
    for one, other in zip(found, _views(), strict=True):
        assert_views_equal(one, other)
    return None


@pytest.mark.parametrize(
    "name",
    [
        *(f"data/{modality}/train-00001-of-00002.parquet" for modality in MODALITIES),
        "meta/index/rgb.parquet",
        MANIFEST_PATH.as_posix(),
    ],
)
def test_no_flipped_bit_is_ever_read_as_data(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    draw = random.Random(2)
    refused = 0
    offsets = draw.sample(range(len(whole)), 20)
    for offset in offsets:
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        error = _refusal(folder)
        if error is not None:
            refused += 1
            assert error.where == str(path) and error.fix
        with pytest.raises(CorruptDataError) as caught:
            SceneDataset(folder, verify="full")
        assert caught.value.where == str(path)
    if "preview" not in name:  # its pictures are for people: no reader of ours opens them
        assert refused >= 0.6 * len(offsets)


def test_a_flipped_byte_of_a_blob_is_refused_with_its_place(folder: Path) -> None:
    path = folder / "data" / "depth" / "train-00000-of-00002.parquet"
    dataset = SceneDataset(folder)
    place = dataset["b"].stored.blobs("depth")[1, "depth"]
    begin, end = (place.offset + bound for bound in place.table.bounds(4))
    damaged = bytearray(path.read_bytes())
    damaged[begin + 2] ^= 4
    path.write_bytes(damaged)
    for verify in ("index", "full"):
        with pytest.raises(CorruptDataError, match=f"bytes {begin} to {end} do not") as caught:
            SceneDataset(folder, verify=verify)["b"].read_view(1)
        assert caught.value.where == str(path)
    SceneDataset(folder)["b"].read_view(1, frames=[0, 3])  # other frames are still whole


@pytest.mark.parametrize("verify", ["index", "full"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9999])
def test_a_cut_shard_is_refused_at_once(folder: Path, share: float, verify: Verify) -> None:
    path = folder / "data" / "rgb" / "train-00000-of-00002.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CorruptDataError, match="cut or altered") as caught:
        SceneDataset(folder, verify=verify)
    assert caught.value.where == str(path) and "lyra-data package" in (caught.value.fix or "")


def test_a_changed_footer_is_refused_at_once(folder: Path) -> None:
    path = folder / "data" / "rgb" / "train-00000-of-00002.parquet"
    whole = path.read_bytes()
    length = int.from_bytes(whole[-8:-4], "little") + 8
    for offset in range(len(whole) - length, len(whole), 97):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CorruptDataError, match="cut or altered"):
            SceneDataset(folder)


def test_a_missing_shard_is_refused_at_once(folder: Path) -> None:
    (folder / "data" / "rgb" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(CorruptDataError, match=r"train-00001.*\n?.*is missing"):
        SceneDataset(folder)


def test_shards_that_changed_places_are_refused(folder: Path) -> None:
    first, second = sorted((folder / "data" / "rgb").iterdir())
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    with pytest.raises(CorruptDataError):
        SceneDataset(folder)


def test_another_format_version_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "FORMAT_VERSION", 999)
    with pytest.raises(CorruptDataError, match=r"format version 2.*versions 999"):
        SceneDataset(folder)


def test_a_folder_without_manifest_is_no_dataset(folder: Path) -> None:
    (folder / MANIFEST_PATH).unlink()
    with pytest.raises(CorruptDataError, match="run `lyra-data package`"):
        SceneDataset(folder)


def test_reading_before_packaging_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(StageOrderError, match="run `lyra-data package`"):
        SceneDataset(tmp_path / "absent")


def test_packaging_nothing_names_the_stage_to_run_and_keeps_the_old(folder: Path) -> None:
    with pytest.raises(StageOrderError, match="run `lyra-data generate`"):
        _write(folder, [])
    assert _refusal(folder) is None


@pytest.mark.parametrize("odd", [{"codec": "cosmos"}, {"codec_fingerprint": "other"}])
@pytest.mark.parametrize("scene", ["a", "b"])
def test_views_of_two_codecs_are_never_packed_together(
    tmp_path: Path, odd: dict[str, Any], scene: str
) -> None:
    views = [make_view("a", 0), make_view(scene, 1, **odd)]
    with pytest.raises(CorruptDataError, match="codec") as caught:
        _write(tmp_path / "dataset", views)
    assert f"scene {scene}, view 1" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_scenes_and_views_are_named_with_the_known_ones(folder: Path) -> None:
    dataset = SceneDataset(folder)
    with pytest.raises(InputError, match=r"(?s)'z'.*a, b, c"):
        dataset.scene("z")
    with pytest.raises(InputError, match=r"(?s)view 7.*0, 1"):
        dataset["a"].read_view(7)


def test_each_split_has_its_own_shards_and_scenes(tmp_path: Path) -> None:
    splits = {"a": "train", "b": "validation", "c": "train"}
    _write(tmp_path / "dataset", splits=splits, scenes_per_shard=1)
    names = sorted(path.name for path in (tmp_path / "dataset" / "data" / "rgb").iterdir())
    assert names == [
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
        "validation-00000-of-00001.parquet",
    ]
    assert SceneDataset(tmp_path / "dataset", split="train").scene_ids == ["a", "c"]
    validation = SceneDataset(tmp_path / "dataset", split="validation")
    assert validation.scene_ids == ["b"]
    assert_views_equal(validation.scene(0)[0], _views()[2])


def test_scenes_of_one_source_are_never_split_apart() -> None:
    sources = {f"scene-{number}": f"source-{number // 3}" for number in range(600)}
    splits = split_by_source(sources, 0.25)
    for number in range(0, 600, 3):
        assert len({splits[f"scene-{number + offset}"] for offset in range(3)}) == 1
    share = sum(split == "validation" for split in splits.values()) / len(splits)
    assert 0.15 < share < 0.35


def test_adding_scenes_moves_none_of_the_others() -> None:
    few = {f"scene-{number}": f"{number}" for number in range(50)}
    many = {f"scene-{number}": f"{number}" for number in range(100)}
    before, after = split_by_source(few, 0.3), split_by_source(many, 0.3)
    assert {scene: after[scene] for scene in before} == before


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_a_single_source_is_trained_on(fraction: float) -> None:
    assert split_by_source({"a": "photo", "b": "photo"}, fraction) == {"a": "train", "b": "train"}


def test_named_scenes_are_kept_from_training_with_all_of_their_sources() -> None:
    sources = {"kept_1": "a", "kept_2": "b", "same_photo": "a", "other": "c", "more": "d"}
    splits = split_by_source(sources, 0.0, ["kept_*"])
    assert [scene for scene, split in splits.items() if split == "train"] == ["other", "more"]


@pytest.mark.parametrize(
    ("named", "what"), [(["kepd"], "did you mean 'kept'"), (["*"], "all 2 scenes")]
)
def test_names_that_fit_no_scene_or_all_of_them_are_refused(named: list[str], what: str) -> None:
    with pytest.raises(ParamsError, match=what):
        split_by_source({"kept": "a", "other": "b"}, 0.0, named)


class _CountedRow(dict):
    """A row that can be counted while it lives."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_never_more_than_one_view_is_held_in_memory() -> None:
    alive: weakref.WeakSet[_CountedRow] = weakref.WeakSet()
    counts = []

    def rows() -> Iterator[Row]:
        for scene in range(3):
            for index in range(3):
                row = _CountedRow(row_from_view(make_view(f"scene-{scene}", index)))
                alive.add(row)
                counts.append(len(alive))
                yield row
                del row

    for _ in pack_scenes(rows(), Encoding()):
        pass
    assert max(counts) <= 2  # a view while the one before it is let go


def test_a_scene_that_is_kept_on_the_disk_comes_back_as_it_was(tmp_path: Path) -> None:
    (scene,) = pack_scenes(map(row_from_view, _views(("a",))), Encoding())
    scene.write(tmp_path)
    assert PackedScene.read(tmp_path) == scene


def _package_forever(scenes: list[PackedScene], target: Path) -> Iterator[None]:
    settings = {"splits": None, "scenes_per_shard": 1, "provenance": {}, "encoding": Encoding()}
    while True:
        assemble_dataset(scenes, target, **settings)
        yield


@pytest.mark.slow
def test_whatever_moment_packaging_is_killed_at_a_manifest_names_only_whole_shards(
    tmp_path: Path,
) -> None:
    assert succeeds_in_fresh_process(_kill_packaging_at_any_moment, tmp_path)


def _kill_packaging_at_any_moment(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    scenes = list(pack_scenes(map(row_from_view, _views()), Encoding()))
    draw = random.Random(3)
    for _ in range(20):
        kill_after_first(draw.uniform(0.0, 0.1), _package_forever(scenes, target))
        if target.exists():  # killed between two renames it may be missing, but never half there
            assert _refusal(target, "full") is None
    _write(target)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert _refusal(target, "full") is None


def _fails_after(number: int) -> Callable[[int], None]:
    calls = iter(range(number))

    def fsync(descriptor: int) -> None:
        if next(calls, None) is None:
            raise OSError(28, os.strerror(28))

    return fsync


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_a_disk_that_fills_up_keeps_the_old_dataset(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _fails_after(number))
        with pytest.raises(StorageError, match="No space left"):
            _write(folder, _views(("x", "y")))
    assert [path.name for path in folder.parent.iterdir()] == ["dataset"]
    assert _refusal(folder, "full") is None


def test_a_dataset_below_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        _write(tmp_path / "file" / "dataset")


def test_every_column_says_what_it_means_and_how_it_is_stored() -> None:
    assert len({field.name for field in FIELDS}) == len(FIELDS)
    assert all(field.meaning and field.encoding for field in FIELDS)
    for modality in MODALITIES:
        columns = columns_of(modality)
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.meaning and column.encoding for column in columns)


def test_every_field_has_a_column_in_one_modality() -> None:
    for field in FIELDS:
        holders = [
            modality
            for modality in MODALITIES
            if (field.packing.column if field.packing else field.name)
            in {column.name for column in columns_of(modality)}
        ]
        assert field.modality in holders
        assert len(holders) == 1 or field.name in (
            "scene_id",
            "view_index",
            "depth_scale",
            "frames",
        )
