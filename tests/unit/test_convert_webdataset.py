"""WebDataset shards, opened by tarfile alone."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest

from lyra_data.dataset.convert.to_webdataset import convert_to_webdataset, sample_names
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from lyra_data.packing.encoding import Encoding
from tests.conversions import convert
from tests.factories import make_view
from tests.lyra_layout import read_loader_way, write_clip


def samples_in(path: Path) -> dict[str, dict[str, bytes]]:
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as shard:
        for member in shard:
            key, _, suffix = member.name.partition(".")
            file = shard.extractfile(member)
            assert file is not None
            samples.setdefault(key, {})[suffix] = file.read()
    return samples


def array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


@pytest.fixture
def dataset(tmp_path) -> SceneDataset:
    views = [make_view(scene, index) for scene in ("a.b", "c") for index in (0, 1)]
    splits = {"a.b": "train", "c": "validation"}
    write_dataset(views, tmp_path / "data", splits=splits, scenes_per_shard=2, provenance={},
                  encoding=Encoding(depth="half", latents="half"))  # fmt: skip
    return SceneDataset(tmp_path / "data")


def test_a_sample_holds_what_the_view_does(dataset, tmp_path) -> None:
    told = convert_to_webdataset(dataset, tmp_path / "shards", silent)
    assert (told.num_samples, told.num_shards) == (4, 2)
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names == ["train-000000.tar", "validation-000000.tar"]
    samples = samples_in(tmp_path / "shards/train-000000.tar")
    assert list(samples) == ["a_b-000", "a_b-001"]
    view, sample = dataset.scene("a.b")[1], samples["a_b-001"]
    with av.open(io.BytesIO(sample["mp4"])) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert np.array_equal(np.stack(frames), view.frames.permute(0, 2, 3, 1).numpy())
    latents = array(sample["latents.npy"])
    assert latents.dtype == np.float16 and np.array_equal(latents, view.latents.numpy())
    poses = array(sample["camera_to_world.npy"])
    assert np.array_equal(poses, view.cameras.camera_to_world.numpy())
    assert np.array_equal(array(sample["intrinsics.npy"]), view.cameras.intrinsics.numpy())
    with np.load(io.BytesIO(sample["depth.npz"])) as archive:
        assert archive["depth"].dtype == np.float16
        assert np.array_equal(archive["depth"], view.depth.numpy())
    facts = json.loads(sample["json"])
    assert facts["scene_id"] == "a.b" and facts["split"] == "train"
    assert facts["provenance"]["codec"] == "dct" and facts["trajectory"] == "right"


@pytest.mark.parametrize(
    "scenes", [("a.b", "a_b"), ("a/b", "a_b", "a.b"), ("Street", "street"), ("é", "e\u0301"),
               ("straße", "STRASSE"), ("a.b", "a_b", "a_b-2e7336dc")]
)  # fmt: skip
def test_no_two_scenes_have_one_key(scenes) -> None:
    names = list(sample_names(scenes).values())
    assert len({name.casefold() for name in names}) == len(scenes)
    assert not any("." in name or "/" in name for name in names)
    assert sample_names(["a.b", "c"]) == {"a.b": "a_b", "c": "c"}


def test_samples_of_scenes_with_like_names_stand_apart(tmp_path) -> None:
    views = [make_view(scene, 0) for scene in ("street.v1", "street_v1")]
    write_dataset(views, tmp_path / "data", splits=None, scenes_per_shard=2, provenance={})
    convert_to_webdataset(SceneDataset(tmp_path / "data"), tmp_path / "shards", silent)
    with tarfile.open(tmp_path / "shards/train-000000.tar") as shard:
        members = shard.getnames()
    assert len(set(members)) == len(members) == 12
    samples = samples_in(tmp_path / "shards/train-000000.tar").values()
    assert [json.loads(sample["json"])["scene_id"] for sample in samples] == [
        "street.v1", "street_v1"
    ]  # fmt: skip


def test_a_full_shard_takes_no_further_sample_and_bytes_repeat(dataset, tmp_path) -> None:
    for name in ("one", "two"):
        told = convert_to_webdataset(dataset, tmp_path / name, silent, shard_bytes=1000)
        assert told.num_shards == 4
    for shard in (tmp_path / "one").iterdir():
        assert len(samples_in(shard)) == 1
        assert shard.read_bytes() == (tmp_path / "two" / shard.name).read_bytes()


def test_all_of_a_frame_is_in_the_order_that_the_video_plays_in(tmp_path) -> None:
    """Lyra's reversed clips play backwards in terms of our frames."""
    write_clip(tmp_path / "source", 6)
    convert(tmp_path / "source", tmp_path / "data")
    convert_to_webdataset(SceneDataset(tmp_path / "data"), tmp_path / "shards", silent)
    (sample,) = samples_in(tmp_path / "shards/train-000000.tar").values()
    stored = read_loader_way(tmp_path / "source", 6)
    assert sample["mp4"] == (tmp_path / "source/6/rgb/scene.mp4").read_bytes()
    assert np.array_equal(array(sample["camera_to_world.npy"]), stored["pose"])
    known = np.isfinite(stored["depth"])
    with np.load(io.BytesIO(sample["depth.npz"])) as archive:
        assert np.array_equal(archive["depth"][known], stored["depth"][known])
    facts = json.loads(sample["json"])
    assert facts["latents_run_backwards"] is True and facts["movement_distance"] is None


def test_a_view_without_depth_has_no_such_file(tmp_path) -> None:
    write_clip(tmp_path / "source", 0, depth=False)
    convert(tmp_path / "source", tmp_path / "data")
    convert_to_webdataset(SceneDataset(tmp_path / "data"), tmp_path / "shards", silent)
    (sample,) = samples_in(tmp_path / "shards/train-000000.tar").values()
    assert "depth.npz" not in sample and "mp4" in sample
