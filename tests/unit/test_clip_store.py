"""A clip is read back as it was written, or the reader says which file is to blame."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_data.clips.store import (
    clip_hash,
    read_clip,
    read_held_out,
    scene_folders,
    write_clip,
    write_held_out,
)
from lyra_data.engine.errors import CorruptDataError, StorageError
from lyra_data.engine.hashing import sha256_of_folder
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView
from tests.factories import make_cameras, make_clip, make_frames


def video_clip() -> Clip:
    clip = make_clip("street-1", num_frames=3)
    return replace(clip, dynamic_mask=clip.depth > 2.2, prompt='Straße, "at night"', fps=29.97)


def held_out_views() -> list[HeldOutView]:
    return [
        HeldOutView(name, make_frames(1, seed=index)[0], make_cameras(3)[[index]])
        for index, name in enumerate(("right", "above left"))
    ]


def assert_equal_clips(first: Clip, second: Clip) -> None:
    for field in ("frames", "depth", "depth_valid"):
        assert torch.equal(getattr(first, field), getattr(second, field)), field
    assert (first.dynamic_mask is None) == (second.dynamic_mask is None)
    if first.dynamic_mask is not None and second.dynamic_mask is not None:
        assert torch.equal(first.dynamic_mask, second.dynamic_mask)
    assert torch.equal(first.cameras.camera_to_world, second.cameras.camera_to_world)
    assert torch.equal(first.cameras.intrinsics, second.cameras.intrinsics)
    plain = ("scene_id", "depth_scale", "fps", "prompt", "source")
    assert [getattr(first, field) for field in plain] == [getattr(second, field) for field in plain]


@pytest.mark.parametrize("clip", [make_clip(), video_clip()], ids=["image", "video"])
def test_a_clip_comes_back_as_it_was(tmp_path: Path, clip: Clip) -> None:
    write_clip(clip, tmp_path / "scene")
    assert_equal_clips(read_clip(tmp_path / "scene"), clip)


def test_held_out_views_come_back_as_they_were(tmp_path: Path) -> None:
    views = held_out_views()
    write_held_out(views, tmp_path / "scene")
    again = read_held_out(tmp_path / "scene")
    assert [view.name for view in again] == ["right", "above left"]
    for view, before in zip(again, views, strict=True):
        assert torch.equal(view.frame, before.frame)
        assert torch.equal(view.camera.camera_to_world, before.camera.camera_to_world)
        assert torch.equal(view.camera.intrinsics, before.camera.intrinsics)


def test_a_scene_without_held_out_views_reads_as_none(tmp_path: Path) -> None:
    write_held_out([], tmp_path / "scene")
    assert read_held_out(tmp_path / "scene") == []


def test_the_same_clip_gives_the_same_bytes_and_another_clip_another_hash(tmp_path: Path) -> None:
    write_clip(make_clip(), tmp_path / "first")
    write_clip(make_clip(), tmp_path / "second")
    write_clip(replace(make_clip(), prompt="another"), tmp_path / "third")
    assert sha256_of_folder(tmp_path / "first") == sha256_of_folder(tmp_path / "second")
    assert clip_hash(tmp_path / "first") == clip_hash(tmp_path / "second")
    assert clip_hash(tmp_path / "first") != clip_hash(tmp_path / "third")


def test_writing_again_leaves_nothing_of_the_former_clip(tmp_path: Path) -> None:
    write_clip(video_clip(), tmp_path / "scene")
    write_clip(make_clip(), tmp_path / "scene")
    assert_equal_clips(read_clip(tmp_path / "scene"), make_clip())
    assert not (tmp_path / "scene" / "dynamic_mask.npy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]


FILES = [
    "clip.json",
    "depth.npy",
    "camera_to_world.npy",
    "intrinsics.npy",
    "dynamic_mask.npy",
    "frames/00001.png",
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "altered"])
def test_a_damaged_clip_is_refused_and_the_file_named(
    tmp_path: Path, name: str, damage: str
) -> None:
    write_clip(video_clip(), tmp_path / "scene")
    path = tmp_path / "scene" / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(
            content.replace(b"street-1", b"street-2")
            if name == "clip.json"
            else content[:-1] + bytes([content[-1] ^ 1])
        )
    with pytest.raises(CorruptDataError) as caught:
        read_clip(tmp_path / "scene")
    assert caught.value.where == str(path)
    assert "lyra-data annotate" in str(caught.value)


def test_a_clip_of_another_version_is_refused(tmp_path: Path) -> None:
    write_clip(make_clip(), tmp_path / "scene")
    path = tmp_path / "scene" / "clip.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    with pytest.raises(CorruptDataError, match="version 99"):
        read_clip(tmp_path / "scene")


def test_a_missing_held_out_photo_is_named(tmp_path: Path) -> None:
    write_held_out(held_out_views(), tmp_path / "scene")
    (tmp_path / "scene" / "right.png").unlink()
    with pytest.raises(CorruptDataError, match=r"right\.png"):
        read_held_out(tmp_path / "scene")


def test_a_target_that_cannot_be_written_is_a_storage_error_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        write_clip(make_clip(), tmp_path / "file" / "scene")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_scene_folders_are_sorted_and_skip_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b", "a", ".partial-1"):
        (tmp_path / name).mkdir()
    (tmp_path / "failures.json").write_text("[]")
    assert [path.name for path in scene_folders(tmp_path)] == ["a", "b"]
    shutil.rmtree(tmp_path / "a")
    assert [path.name for path in scene_folders(tmp_path)] == ["b"]
