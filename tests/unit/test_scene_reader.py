"""A scene's reader gives the parts that are asked for, as the whole view has them, and no more."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from tests.factories import assert_views_equal, make_view

VIEWS = [make_view(scene, index, seed=ord(scene)) for scene in "ab" for index in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("reader") / "dataset"
    write_dataset(VIEWS, target, splits=None, scenes_per_shard=1, provenance={})
    return target


def test_depth_and_masks_of_a_sample_are_those_of_the_view(folder: Path) -> None:
    view = VIEWS[4]
    sample = SceneDataset(folder)["b"].read(latents=[0], frames={1: [5, 2, 5]}, masks=True)
    assert torch.equal(sample.frames[1], view.frames[[5, 2, 5]])
    for name in ("depth", "depth_valid", "filled"):
        assert torch.equal(getattr(sample, name)[1], getattr(view, name)[[5, 2, 5]]), name
    assert torch.equal(sample.cameras[1].camera_to_world, view.cameras.camera_to_world)
    assert set(sample.cameras) == {0, 1} and set(sample.latents) == {0}


def test_what_is_not_asked_for_is_left_out(folder: Path) -> None:
    sample = SceneDataset(folder)["a"].read(frames={0: [1]}, depth=False)
    assert not sample.depth and not sample.depth_valid and not sample.filled and not sample.latents


def test_a_scene_is_found_by_its_name_and_by_its_position(folder: Path) -> None:
    dataset = SceneDataset(folder)
    assert dataset["b"].scene_id == dataset[1].scene_id == dataset[-1].scene_id == "b"
    with pytest.raises(IndexError):
        dataset[2]
    with pytest.raises(InputError, match=r"(?s)'z'.*a, b"):
        dataset["z"]


def test_whole_views_and_fields_come_from_the_same_reader(folder: Path) -> None:
    scene = SceneDataset(folder)["b"]
    for found, written in zip(scene.read_views(), VIEWS[3:], strict=True):
        assert_views_equal(found, written)
    assert_views_equal(scene.read_view(2), VIEWS[5])
    (row,) = scene.read_fields(["filled", "num_frames"], view_indices=[2], frames=[3])
    assert torch.equal(row["filled"], VIEWS[5].filled[[3]]) and row["num_frames"] == 9


def test_blobs_and_their_parts_are_counted_when_they_are_decoded(folder: Path) -> None:
    dataset = SceneDataset(folder)
    dataset["a"].prefetch(latents=[0, 1], frames={0: [8], 2: [0, 0]})
    assert dataset.counts.num_blobs == 0
    dataset["a"].read(latents=[0, 1], frames={0: [8], 2: [0, 0]})
    assert dataset.counts.blobs == {"latents": 2, "frames": 2, "depth": 2}
    assert dataset.counts.parts == {"latents": 2, "frames": 2, "depth": 2}  # frame 8 is a key frame
    assert dataset.counts.num_bytes > 0
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.counts.num_blobs == 0 and dataset.counts.num_blobs == 6
    dataset.counts.reset()
    dataset["a"].read_views()
    assert dataset.counts.num_blobs == 3 * 5
