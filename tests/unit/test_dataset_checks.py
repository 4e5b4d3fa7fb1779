"""Checks of datasets: each rule finds what it is for, and a sound dataset passes."""

from __future__ import annotations

import dataclasses
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from lyra_data.dataset.checks import DATASET_RULES, check_dataset, sampled_views
from lyra_data.dataset.checks.latents import check_latents
from lyra_data.dataset.checks.rules import VIEW_RULES
from lyra_data.dataset.format.manifest import MANIFEST_PATH
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.stored_scene import StoredScene
from lyra_data.dataset.writing.packed_scene import PackedScene
from lyra_data.dataset.writing.writer import assemble_dataset, pack_scenes, write_dataset
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.progress import silent
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from lyra_data.views.fields import row_from_view
from tests.dataset_scenes import exact_scene
from tests.factories import make_view
from tests.goldens import REPOSITORY

Change = Callable[[list[View]], list[View]]
SPLITS = {"a": "train", "b": "validation"}


def write(folder: Path, views: list[View], **options: Any) -> Path:
    settings = {"splits": SPLITS, "scenes_per_shard": 2, "provenance": {}}
    write_dataset(views, folder, **{**settings, **options})
    return folder


def rules_of(folder: Path, sample: int | None = None) -> set[str]:
    return {
        finding.rule for finding in check_dataset(folder, sample=sample, progress=silent).findings
    }


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "sound", [*exact_scene("a"), *exact_scene("b")])


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("train", "half", "half")])
def test_a_sound_dataset_passes_whatever_its_encoding(tmp_path: Path, encoding: Encoding) -> None:
    folder = write(tmp_path / "data", exact_scene(), encoding=encoding)
    checked = check_dataset(folder, sample=None, progress=silent)
    assert [finding.message for finding in checked.findings] == []
    assert (checked.num_scenes, checked.num_views, checked.num_looked_at) == (1, 3, 3)


def test_a_path_may_come_by_the_same_place_twice(tmp_path: Path) -> None:
    """As a spiral does; a clip's frames may not be repeated."""
    first, *others = exact_scene()
    way = [0, 1, 2, 3, 4, 5, 4, 3, 2]
    there_and_back = replace(
        first,
        cameras=first.cameras[way],
        **{
            name: getattr(first, name)[way] for name in ("frames", "depth", "depth_valid", "filled")
        },
    )
    assert rules_of(write(tmp_path / "data", [there_and_back, *others])) == set()


@pytest.mark.parametrize("num_frames", [2, 8])
def test_frames_that_no_latents_stand_for_are_a_finding(tmp_path: Path, num_frames: int) -> None:
    first, *others = exact_scene()
    shorter = replace(
        first,
        cameras=first.cameras[:num_frames],
        **{
            name: getattr(first, name)[:num_frames]
            for name in ("frames", "depth", "depth_valid", "filled")
        },
    )
    folder = write(tmp_path / "data", [shorter, *others])
    (finding,) = check_dataset(folder, sample=None, progress=silent).findings
    assert finding.rule == "frame-counts" and finding.location.view_index == first.view_index
    assert finding.message.startswith(f"{num_frames} frames, though")


def changed(**changes: Any) -> Change:
    """Of the first view."""
    return lambda views: [replace(views[0], **changes), *views[1:]]


def of_cameras(change: Callable[[torch.Tensor, torch.Tensor], None], which: int = 0) -> Change:
    def changed_views(views: list[View]) -> list[View]:
        cameras = views[which].cameras
        poses, intrinsics = cameras.camera_to_world.clone(), cameras.intrinsics.clone()
        change(poses, intrinsics)
        moved = replace(cameras, camera_to_world=poses, intrinsics=intrinsics)
        views = list(views)
        views[which] = replace(views[which], cameras=moved)
        return views

    return changed_views


def with_frames(change: Callable[[torch.Tensor], None]) -> Change:
    def changed_views(views: list[View]) -> list[View]:
        frames = views[0].frames.clone()
        change(frames)
        return [replace(views[0], frames=frames), *views[1:]]

    return changed_views


def with_depth(change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def changed_views(views: list[View]) -> list[View]:
        depth = change(views[0].depth.clone())
        return [replace(views[0], depth=depth, depth_valid=views[0].depth_valid), *views[1:]]

    return changed_views


def _nothing_known(views: list[View]) -> list[View]:
    depth = torch.zeros_like(views[0].depth)
    return [replace(views[0], depth=depth, depth_valid=depth > 0), *views[1:]]


def _set(place: tuple[Any, ...], value: Any) -> Callable[..., None]:
    def change(poses: torch.Tensor, *_: torch.Tensor) -> None:
        poses[place] = value

    return change


def _focal(value: float, *columns: int) -> Callable[..., None]:
    def change(_: torch.Tensor, intrinsics: torch.Tensor) -> None:
        intrinsics[:, list(columns)] = value

    return change


def _mirrored_again(views: list[View]) -> list[View]:
    """The reversed view holds the frames and latents of forward motion."""
    forward, backward = views[0], views[2]
    same = {"frames": forward.frames, "latents": forward.latents, "depth": forward.depth}
    same |= {"depth_valid": forward.depth_valid, "filled": forward.filled}
    return [*views[:2], replace(backward, **same)]


BROKEN: dict[str, Change] = {
    "frame-rate": changed(fps=0.0),
    "pose-finite": of_cameras(_set((3, 0, 3), torch.nan)),
    "pose-last-row": of_cameras(_set((2, 3, 0), 0.5)),
    "pose-rotation": of_cameras(_set((2, 0, 0), 1.2)),
    "pose-mirrored": of_cameras(_set((2, 0, 0), -1.0)),
    "translation-jump": of_cameras(_set((slice(5, None), 1, 3), 2.0)),
    "rotation-jump": of_cameras(
        _set(
            (slice(5, None), slice(3), slice(3)),
            torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
        )
    ),
    "principal-point": of_cameras(_focal(-3.0, 2)),
    "focal-length": of_cameras(_focal(5000.0, 0, 1)),
    "focal-ratio": of_cameras(_focal(160.0, 0)),
    "zoom-jump": of_cameras(lambda _, intrinsics: intrinsics[5:, :2].mul_(2.0)),
    "depth-values": with_depth(lambda depth: depth.index_fill_(0, torch.tensor([1]), -1.0)),
    "depth-known": _nothing_known,
    "depth-range": with_depth(lambda depth: depth * 1000.0),
    "blank-frames": with_frames(lambda frames: frames[4].zero_()),
    "frozen-frames": with_frames(lambda frames: frames[4].copy_(frames[3])),
    "reprojection": of_cameras(lambda poses, _: poses[:, 0, 3].neg_()),
    "motion-reversed": _mirrored_again,
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_finds_a_view_that_breaks_it(rule: str, tmp_path: Path) -> None:
    views = BROKEN[rule](exact_scene())
    found = check_dataset(write(tmp_path / "data", views), sample=None, progress=silent).findings
    named = [finding for finding in found if finding.rule == rule]
    assert named and named[0].location.scene == "a", found
    assert named[0].location.view_index in (0, 2), found


def with_rows(modality: str, change: Callable[[pa.Table], pa.Table]):
    """Scenes whose rows of one modality are not what packaging would have written."""

    def altered(scene: PackedScene) -> PackedScene:
        tables = {**scene.tables, modality: change(scene.tables[modality])}
        return dataclasses.replace(scene, tables=tables)

    return altered


def column(name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    def altered(table: pa.Table) -> pa.Table:
        field = table.schema.field(name)
        values = pa.array(change(table[name].to_pylist()), field.type)
        return table.set_column(table.schema.get_field_index(name), field, values)

    return altered


def first(change: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [change(values[0]), *values[1:]]


ALTERED = {
    "frame-counts": with_rows("camera", column("intrinsics", first(lambda rows: rows[:-1]))),
    "shares": with_rows("preview", column("known_fraction", first(lambda share: share - 0.1))),
    "rgb-statistics": with_rows(
        "preview", column("rgb_mean", first(lambda mean: [mean[0] + 9, *mean[1:]]))
    ),
    "latent-statistics": with_rows("latent", column("latent_std", first(lambda std: std[::-1]))),
    "latent-axes": with_rows(
        "latent", column("latent_axes", first(lambda _: "latent_frame channel"))
    ),
}


@pytest.mark.parametrize("rule", ALTERED)
def test_a_rule_finds_a_row_that_does_not_tell_the_truth(rule: str, tmp_path: Path) -> None:
    scenes = pack_scenes(map(row_from_view, exact_scene()), Encoding())
    assemble_dataset(
        map(ALTERED[rule], scenes),
        tmp_path / "data",
        splits=None,
        scenes_per_shard=1,
        provenance={},
        encoding=Encoding(),
    )
    assert rule in rules_of(tmp_path / "data")


def test_latents_that_are_no_numbers_are_not_packaged_and_are_found(tmp_path: Path) -> None:
    latents = exact_scene()[0].latents.clone()
    latents[3, 1, 2, 2] = torch.nan
    with pytest.raises(CorruptDataError, match="no numbers"):
        write(tmp_path / "data", changed(latents=latents)(exact_scene()))
    row = {"scene_id": "a", "view_index": 0}
    assert [found.rule for found in check_latents(row, latents.numpy())] == ["latent-values"]


def test_a_manifest_with_other_statistics_or_encodings_is_found(
    sound: Path, tmp_path: Path
) -> None:
    stated = DatasetFiles.open(sound).manifest
    off = replace(stated.rgb_channels[1], mean=stated.rgb_channels[1].mean + 0.1)
    cases = {
        "statistics": replace(
            stated, rgb_channels=(stated.rgb_channels[0], off, stated.rgb_channels[2])
        ),
        "encodings": replace(stated, encoding={**stated.encoding, "depth": "half"}),
        "row-counts": replace(stated, scenes=stated.scenes[:1]),
    }
    for rule, manifest in cases.items():
        folder = tmp_path / rule
        shutil.copytree(sound, folder)
        manifest.write(folder)
        assert rules_of(folder, sample=0) == {rule}, rule


def test_exchanged_channels_and_frames_are_found_where_no_shape_tells_them_apart(
    tmp_path: Path,
) -> None:
    time = np.linspace(0, 1, 16)
    draws = np.random.default_rng(0).standard_normal((2, 16, 16, 2, 3))
    smooth = draws[0][:, :1] * (1 - time)[:, None, None] + draws[1][:, :1] * time[:, None, None]
    view = make_view("a", num_frames=121)
    right = replace(view, latents=torch.from_numpy(smooth).float().contiguous())
    wrong = replace(right, latents=right.latents.transpose(0, 1).contiguous())
    assert "latent-axes" not in rules_of(write(tmp_path / "right", [right]), sample=0)
    assert "latent-axes" in rules_of(write(tmp_path / "wrong", [wrong]), sample=0)


def test_a_source_in_two_splits_is_a_leak_by_its_hash_or_by_its_picture(tmp_path: Path) -> None:
    scenes = [*exact_scene("a"), *exact_scene("ab")]
    splits = {"a": "train", "ab": "validation"}
    assert rules_of(write(tmp_path / "hash", scenes, splits=splits), sample=0) == {"split-leak"}
    unnamed = [replace(view, provenance={**view.provenance}) for view in scenes]
    for view in unnamed:
        del view.provenance["source_video_sha256"]
    found = check_dataset(
        write(tmp_path / "picture", unnamed, splits=splits), sample=0, progress=silent
    ).findings
    assert [finding.rule for finding in found] == ["split-leak"]
    assert "a in train, ab in validation" in found[0].message


def test_a_flipped_byte_anywhere_is_found_with_file_and_offset(tmp_path: Path) -> None:
    views = [make_view(scene, index, seed=ord(scene)) for scene in "ab" for index in range(2)]
    folder = write(tmp_path / "data", views)
    draws = random.Random(1)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in [*files, *draws.choices([p for p in files if "data/" in str(p)], k=30)]:
        if path.name == "README.md":  # people edit it
            continue
        whole = path.read_bytes()
        place = draws.randrange(len(whole))
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << draws.randrange(8))]) + whole[place + 1 :]
        )
        found = check_dataset(folder, sample=0, progress=silent).findings
        assert found and found[0].rule == (
            "manifest" if path.name == MANIFEST_PATH.name else "file-hashes"
        ), (path, place)
        assert found[0].location.file == path.relative_to(folder).as_posix(), (path, place)
        if found[0].rule == "file-hashes":
            bounds = re.search(r"bytes (\d+) to (\d+)", found[0].message)
            assert bounds and int(bounds[1]) <= place < int(bounds[2]), (path, place, found[0])
        path.write_bytes(whole)
    assert check_dataset(folder, sample=0, progress=silent).findings == ()


def test_missing_cut_and_unlisted_files_are_found(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(sound, folder)
    (folder / "data" / "rgb" / "train-9.parquet").write_bytes(b"more")
    assert rules_of(folder, sample=0) == {"unlisted-files"}
    shard = folder / "data" / "mask" / "train-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-10])
    (folder / "data" / "depth" / "train-00000-of-00001.parquet").unlink()
    found = check_dataset(folder, sample=0, progress=silent).findings
    assert {finding.location.file for finding in found if finding.rule == "file-hashes"} == {
        f"data/{modality}/train-00000-of-00001.parquet" for modality in ("mask", "depth")
    }


def test_an_index_of_other_bytes_is_found_though_every_sha256_fits(
    tmp_path: Path, monkeypatch
) -> None:
    """As a faulty writer would leave it: the manifest is right about a wrong index."""
    from lyra_data.dataset.writing import shards

    real = shards.OpenShard.close

    def close(self, file: str) -> pa.Table:
        table = real(self, file)
        return column("offset", lambda values: [value + 1 for value in values])(table)

    monkeypatch.setattr(shards.OpenShard, "close", close)
    folder = write(tmp_path / "data", [make_view("a")], splits=None)
    assert rules_of(folder, sample=0) == {"part-hashes"}


def test_a_sample_is_always_the_same_and_bounds_what_is_decoded(sound: Path) -> None:
    manifest = DatasetFiles.open(sound).manifest
    assert sampled_views(manifest, 2) < sampled_views(manifest, 4) < sampled_views(manifest, None)
    assert len(sampled_views(manifest, None)) == 6
    checked = check_dataset(sound, sample=1, progress=silent)
    assert checked.num_looked_at == 1 and checked.findings == ()


def test_the_same_is_found_from_afar(sound: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(sound), "/checked", recursive=True)
    path = "/checked/data/depth/train-00000-of-00001.parquet"
    data = bytearray(memory.cat_file(path))
    checked = check_dataset("memory://checked", sample=0, progress=silent)
    assert checked.findings == () and checked.num_views == 6
    data[len(data) // 2] ^= 1
    memory.pipe_file(path, bytes(data))
    found = check_dataset("memory://checked", sample=0, progress=silent).findings
    assert [finding.rule for finding in found] == ["file-hashes"] and found[0].location.offset


TESTED_ABOVE = {"manifest", "file-hashes", "part-hashes", "unlisted-files", "row-counts"}
TESTED_ABOVE |= {"row-group-size", "encodings", "latent-values", "statistics", "split-leak"}
OF_CLIPS = {"array-shapes", "reprojection-places", "depth-agreement", "reprojection-unknown"}
"""Whose own tests are those of clips."""


def test_every_rule_is_tested() -> None:
    tested = {*BROKEN, *ALTERED, *TESTED_ABOVE, *OF_CLIPS, "unreadable"}
    assert tested == set(DATASET_RULES) and set(VIEW_RULES) >= OF_CLIPS


def test_the_guide_lists_every_rule_as_the_code_has_it() -> None:
    text = (REPOSITORY / "docs" / "dataset-tools.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.M)
    stated = [
        (rule.name, rule.severity, rule.meaning, rule.bound, rule.remedy)
        for rule in DATASET_RULES.values()
    ]
    assert rows == [tuple(cell.replace("|", r"\|") for cell in row) for row in stated]


def test_a_scene_whose_videos_other_programs_cannot_read_is_warned_of_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They fail from 2 GiB in a row group on; here from a byte less than the scene has."""
    scene = next(pack_scenes(map(row_from_view, exact_scene()), Encoding()))
    table = scene.tables["rgb"]["video"].combine_chunks()
    size = sum(len(video["bytes"]) for video in table.to_pylist())
    monkeypatch.setattr("lyra_data.dataset.writing.shards.NESTED_BYTES_LIMIT", size)
    monkeypatch.setattr("lyra_data.dataset.checks.rows.NESTED_BYTES_LIMIT", size)
    folder = write(tmp_path / "data", exact_scene())
    assert "scene a: 3 of its views have" in caplog.text and "load_dataset cannot" in caplog.text
    (finding,) = check_dataset(folder, sample=0, progress=silent).findings
    assert finding.rule == "row-group-size" and finding.severity == "warning"
    assert str(finding.location) == "scene a" and "of its 3 views has" in finding.message
    monkeypatch.setattr("lyra_data.dataset.reading.stored_scene.NESTED_BYTES_LIMIT", size)
    files = DatasetFiles.open(folder)
    with pytest.raises(InputError, match="video of scene a has"):
        StoredScene(files, files.manifest.scenes[0]).table("rgb")
    monkeypatch.setattr("lyra_data.dataset.checks.rows.NESTED_BYTES_LIMIT", 2 * size)
    assert rules_of(folder, sample=0) == set()
