"""Datasets made of datasets: the right views, their blobs byte for byte, and nothing by halves."""

from __future__ import annotations

import itertools
import random
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.editing.conditions import Condition
from lyra_data.dataset.editing.filtering import CONDITION_COLUMNS, ViewFilter, filter_dataset
from lyra_data.dataset.editing.merging import Merged, merge_datasets
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.editing.splitting import (
    deal_out,
    empty_splits,
    require_shares,
    split_dataset,
)
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.stored_scene import StoredScene
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.engine.progress import silent
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from stages.cli import app
from tests.children import kill_after_first, succeeds_in_fresh_process
from tests.factories import assert_views_equal, make_quality, make_view

SPLITS = {"a": "train", "b": "validation", "c": "train"}


def views_of(names: str = "abc", **changes: Any) -> list[View]:
    """Two views a scene: the second is worse, and goes left."""
    made = []
    for scene in names:
        for index, trajectory in enumerate(("right", "left")):
            view = make_view(scene, index, seed=ord(scene), trajectory=trajectory, **changes)
            made.append(replace(view, quality=make_quality(sharpness_ratio=[0.9, None][index])))
    return made


def write(folder: Path, views: list[View] | None = None, **options: Any) -> Path:
    views = views_of() if views is None else views
    splits = {view.scene_id: SPLITS.get(view.scene_id, "train") for view in views}
    settings = {"splits": splits, "scenes_per_shard": 2, "provenance": {"made": "here"}}
    write_dataset(views, folder, **{**settings, **options})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "data")


def filtered(folder: Path, target: Path, *where: str, **names: Any) -> Manifest:
    conditions = tuple(Condition(text, CONDITION_COLUMNS) for text in where)
    wanted = ViewFilter(where=conditions, **names)
    opened = OpenedDataset(folder)
    return filter_dataset(opened, target, wanted, scenes_per_shard=None, progress=silent).manifest


def merged(target: Path, *folders: Path, prefixes: list[str] | None = None) -> Merged:
    return merge_datasets(
        [OpenedDataset(folder) for folder in folders],
        target,
        prefixes=prefixes,
        scenes_per_shard=None,
        progress=silent,
    )


def resplit(folder: Path, target: Path, shares: dict[str, float], seed: int = 0) -> Manifest:
    opened = OpenedDataset(folder)
    return split_dataset(opened, target, shares, seed=seed, scenes_per_shard=None, progress=silent)


def blobs_of(folder: Path) -> dict[tuple[str, str, int, str], bytes]:
    """Every blob by modality, scene, view and column, as any reader of Parquet has it."""
    blobs = {}
    for modality in MODALITIES:
        for path in (folder / "data" / modality).iterdir():
            for row in pq.ParquetFile(path).read().to_pylist():
                for name, value in row.items():
                    value = value["bytes"] if isinstance(value, dict) else value
                    if isinstance(value, bytes):
                        blobs[modality, row["scene_id"], row["view_index"], name] = value
    return blobs


def check(folder: Path) -> None:
    found = check_dataset(folder, sample=0, progress=silent).findings
    assert found == () and SceneDataset(folder, verify="full")


def test_keeping_everything_gives_the_same_dataset_hash(folder: Path, tmp_path: Path) -> None:
    manifest = filtered(folder, tmp_path / "all")
    before = DatasetFiles.open(folder).manifest
    assert manifest.dataset_hash == before.dataset_hash
    assert sha256_of_folder(tmp_path / "all" / "data") == sha256_of_folder(folder / "data")
    assert manifest.provenance["inputs"] == [
        {
            "manifest_hash": before.manifest_hash,
            "dataset_hash": before.dataset_hash,
            "provenance": {"made": "here"},
        }
    ]


def test_a_filtered_dataset_is_what_packaging_the_same_views_gives(
    folder: Path, tmp_path: Path
) -> None:
    manifest = filtered(folder, tmp_path / "left", trajectories=["left"])
    packaged = write(tmp_path / "packaged", [v for v in views_of() if v.trajectory == "left"])
    assert manifest.dataset_hash == DatasetFiles.open(packaged).manifest.dataset_hash
    assert manifest.provenance["command"] == {"verb": "filter", "trajectory": ["left"]}
    check(tmp_path / "left")
    everything, kept = blobs_of(folder), blobs_of(tmp_path / "left")
    assert kept == {key: blob for key, blob in everything.items() if key[2] == 1}
    assert len(kept) == 3 * 7
    assert_views_equal(SceneDataset(tmp_path / "left").scene("b")[0], views_of()[3])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("sharpness_ratio >= 0.5", ["a0", "b0", "c0"]),
        ("not sharpness_ratio >= 0.5", ["a1", "b1", "c1"]),
        ("sharpness_ratio is None and scene_id in ['a', 'c']", ["a1", "c1"]),
        ("0 < view_index <= 1 or split == 'validation'", ["a1", "b0", "b1", "c1"]),
        ("movement_distance > -1.5 and width != 24", []),
        ("motion_reversed == False and not trajectory == 'left'", ["a0", "b0", "c0"]),
    ],
)
def test_a_condition_keeps_the_views_that_it_holds_for(
    folder: Path, tmp_path: Path, where: str, expected: list[str]
) -> None:
    if not expected:
        with pytest.raises(InputError, match="no view is left"):
            filtered(folder, tmp_path / "out", where)
        assert not (tmp_path / "out").exists()
        return
    manifest = filtered(folder, tmp_path / "out", where)
    kept = [f"{scene.scene_id}{view}" for scene in manifest.scenes for view in scene.view_indices]
    assert kept == expected


@pytest.mark.parametrize(
    "where",
    [
        "__import__('os')",
        "scene_id.upper() == 'A'",
        "[x for x in 'ab']",
        "width",
        "width >",
        "widht > 3",
        "scene_id > 3",
        "width + 1 > 3",
        "(lambda: True)()",
        "width and height",
        "",
    ],
)
def test_what_is_no_condition_is_refused(folder: Path, tmp_path: Path, where: str) -> None:
    with pytest.raises(InputError, match="condition"):
        filtered(folder, tmp_path / "out", where)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "names", [{"trajectories": ["sideways"]}, {"splits": ["test"]}, {"scenes": ["a", "z"]}]
)
def test_a_name_that_is_not_there_is_refused(folder: Path, tmp_path: Path, names) -> None:
    with pytest.raises(InputError, match="there is no"):
        filtered(folder, tmp_path / "out", **names)


def test_a_split_deals_out_sources_and_never_views(folder: Path, tmp_path: Path) -> None:
    names = {f"scene{number}": f"source{number // 2}" for number in range(40)}
    shares = {"train": 0.7, "validation": 0.2, "test": 0.1}
    dealt = deal_out(names, shares, seed=1)
    counts = {split: list(dealt.values()).count(split) for split in shares}
    assert counts == {"train": 28, "validation": 8, "test": 4}
    assert all(dealt[f"scene{n}"] == dealt[f"scene{n + 1}"] for n in range(0, 40, 2))
    assert dealt == deal_out(dict(reversed(names.items())), shares, seed=1)
    assert dealt != deal_out(names, shares, seed=2)
    manifest = resplit(folder, tmp_path / "out", {"train": 2 / 3, "test": 1 / 3})
    assert sorted(scene.split for scene in manifest.scenes) == ["test", "train", "train"]
    check(tmp_path / "out")
    assert blobs_of(tmp_path / "out") == blobs_of(folder)


@pytest.mark.parametrize(
    "shares", [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 0.5, "other": 0.5}]
)
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(InputError, match="together 1"):
        require_shares(shares)


def test_one_source_is_trained_on_whatever_the_shares() -> None:
    assert deal_out({"a": "x"}, {"train": 0.1, "validation": 0.9}, seed=0) == {"a": "train"}


def test_a_merged_dataset_is_what_packaging_all_views_gives(folder: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more", views_of("de"))
    done = merged(tmp_path / "out", folder, more)
    packaged = write(tmp_path / "packaged", views_of("abcde"))
    assert done.manifest.dataset_hash == DatasetFiles.open(packaged).manifest.dataset_hash
    assert len(done.manifest.provenance["inputs"]) == 2 and done.moved == ()
    check(tmp_path / "out")


def test_scenes_of_one_name_need_prefixes_and_keep_their_blobs(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"'a' is in .* too"):
        merged(tmp_path / "out", folder, folder)
    merged(tmp_path / "out", folder, folder, prefixes=["x-", "y-"])
    check(tmp_path / "out")
    dataset = SceneDataset(tmp_path / "out")
    assert dataset.scene_ids == ["x-a", "x-b", "x-c", "y-a", "y-b", "y-c"]
    expected = replace(views_of()[3], scene_id="y-b")
    assert_views_equal(dataset.scene("y-b")[1], expected)
    before = blobs_of(folder)
    assert blobs_of(tmp_path / "out") == {
        (modality, prefix + scene, view, name): blob
        for prefix in ("x-", "y-")
        for (modality, scene, view, name), blob in before.items()
    }
    rows = pq.read_table(tmp_path / "out" / "data" / "rgb", columns=["scene_id", "video"])
    for row in rows.to_pylist():
        assert row["video"]["path"].startswith(row["scene_id"])


def test_a_split_that_no_source_went_to_is_named(tmp_path: Path) -> None:
    one = write(tmp_path / "one", views_of("a"), splits=None)
    shares = {"train": 0.9, "validation": 0.1, "test": 0.0}
    manifest = resplit(one, tmp_path / "out", shares)
    assert empty_splits(manifest, shares) == ["validation"]
    whole = resplit(one, tmp_path / "whole", {"train": 1.0})
    assert empty_splits(whole, {"train": 1.0}) == []


@pytest.mark.parametrize("seed", [[], ["--seed", "3"]])
def test_the_command_says_that_a_split_is_empty(tmp_path: Path, seed: list[str]) -> None:
    one = write(tmp_path / "one", views_of("a"), splits=None)
    shares = ["--share", "train=0.9", "--share", "validation=0.1"]
    done = CliRunner().invoke(app, ["split", str(one), str(tmp_path / "out"), *shares, *seed])
    assert done.exit_code == 0, done.output
    assert "no scene went to validation" in " ".join(done.output.split())


def test_a_source_follows_its_split_of_the_first_dataset(tmp_path: Path) -> None:
    def of_source(scene: str) -> View:
        view = make_view(scene)
        return replace(view, provenance={**view.provenance, "source_image_sha256": "1" * 64})

    one = write(tmp_path / "one", [of_source("p")], splits={"p": "validation"})
    other = write(tmp_path / "other", [of_source("q")], splits={"q": "train"})
    done = merged(tmp_path / "out", one, other)
    assert {scene.split for scene in done.manifest.scenes} == {"validation"}
    assert done.moved == ("q",)


def test_other_codecs_and_encodings_are_not_merged(folder: Path, tmp_path: Path) -> None:
    cosmos = write(tmp_path / "codec", views_of("d", codec="cosmos", codec_fingerprint="c1"))
    with pytest.raises(InputError, match=r"cosmos .* another latent space"):
        merged(tmp_path / "out", folder, cosmos)
    half = write(tmp_path / "half", views_of("d"), encoding=Encoding(depth="half"))
    with pytest.raises(InputError, match="depth is encoded as half"):
        merged(tmp_path / "out", folder, half)
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_and_nothing_written_into_an_input(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        filtered(folder, tmp_path / "mine")
    with pytest.raises(InputError, match="inside"):
        filtered(folder, folder / "inner")


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_flipped_byte_of_a_blob_is_not_copied(tmp_path: Path, modality: str) -> None:
    folder = write(tmp_path / "data", views_of("a"), splits=None)
    shard = folder / "data" / modality / "train-00000-of-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptDataError, match=r"train-00000-of-00001\.parquet.*cut or altered"):
        filtered(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dataset_afar_is_copied_too(folder: Path, tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").put(str(folder), "/copied", recursive=True)
    manifest = filtered("memory://copied", tmp_path / "out")  # type: ignore[arg-type]
    assert manifest.dataset_hash == DatasetFiles.open(folder).manifest.dataset_hash


def test_one_modality_of_one_scene_is_held_at_a_time(
    folder: Path, tmp_path: Path, monkeypatch
) -> None:
    read, held, counts = StoredScene.table, [], []

    def table(self, *arguments: Any) -> pa.Table:
        found = read(self, *arguments)
        counts.append(sum(reference() is not None for reference in held))
        held.append(weakref.ref(found))
        return found

    monkeypatch.setattr(StoredScene, "table", table)
    filtered(folder, tmp_path / "out")
    assert len(counts) == 3 * len(MODALITIES) and max(counts) <= 1


def _filter_forever(folder: Path, targets: Path) -> Iterator[None]:
    for number in itertools.count():
        filtered(folder, targets / str(number))
        yield


@pytest.mark.slow
def test_whatever_moment_copying_is_killed_at_no_dataset_is_there_by_halves(
    folder: Path, tmp_path: Path
) -> None:
    assert succeeds_in_fresh_process(_kill_copying_at_any_moment, folder, tmp_path)


def _kill_copying_at_any_moment(folder: Path, tmp_path: Path) -> None:
    draw, whole = random.Random(5), DatasetFiles.open(folder).manifest.dataset_hash
    for number in range(4):
        targets = tmp_path / str(number)
        kill_after_first(draw.uniform(0.0, 0.2), _filter_forever(folder, targets))
        for target in targets.glob("[0-9]*"):
            assert SceneDataset(target, verify="full").manifest.dataset_hash == whole
