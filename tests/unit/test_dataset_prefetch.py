"""What is fetched ahead is not fetched again, is checked as ever, and fails where it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from lyra_data.dataset.files import local_files
from lyra_data.dataset.files.byte_ranges import Range
from lyra_data.dataset.files.local_files import LocalFiles
from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.dataset.reading import plain_columns
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError
from tests.factories import assert_views_equal, make_view

VIEWS = [make_view("a", index, seed=1) for index in range(2)]
WANTED: dict[str, Any] = {"latents": [0], "frames": {1: [3, 5]}}


class StandIn(MemoryFileSystem):
    """Files in memory below the addresses of another protocol."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.rpartition("://")[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("prefetch") / "dataset"
    write_dataset(VIEWS, target, splits=None, scenes_per_shard=1, provenance={})
    return target


@pytest.fixture
def put(folder: Path) -> Iterator[Any]:
    system = fsspec.filesystem("memory")

    def put_below(place: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                system.pipe_file(f"/{place}/{path.relative_to(folder)}", path.read_bytes())

    yield put_below
    system.store.clear()


def opened(uri: str) -> tuple[SceneDataset, RemoteFiles]:
    dataset = SceneDataset(uri)
    assert isinstance(dataset.files.ranges, RemoteFiles)
    return dataset, dataset.files.ranges


def test_what_was_fetched_ahead_is_not_asked_for_again(put: Any) -> None:
    put("ahead")
    plain, plain_files = opened("memory://ahead")
    expected = plain[0].read(**WANTED)
    dataset, files = opened("memory://ahead")
    dataset[0].prefetch(**WANTED)
    sample = dataset[0].read(**WANTED)
    requests = files.num_requests
    assert torch.equal(sample.frames[1], expected.frames[1])
    assert torch.equal(sample.latents[0], expected.latents[0])
    assert requests == plain_files.num_requests
    dataset[0].read(**WANTED)
    assert files.num_requests > requests  # what was read once is let go


def test_damage_that_was_fetched_ahead_is_refused(put: Any) -> None:
    put("damaged")
    dataset, _ = opened("memory://damaged")
    place = dataset["a"].stored.blobs("latent")[0, "latents"]
    store = fsspec.filesystem("memory")
    data = bytearray(store.cat_file(f"/damaged/{place.file}"))
    data[place.offset + 5] ^= 1
    store.pipe_file(f"/damaged/{place.file}", bytes(data))
    dataset[0].prefetch(**WANTED)
    with pytest.raises(CorruptDataError, match="do not have the hash"):
        dataset[0].read(**WANTED)


def test_a_failure_ahead_is_told_by_the_reading(put: Any) -> None:
    put("gone")
    dataset, _ = opened("memory://gone")
    place = dataset["a"].stored.blobs("latent")[0, "latents"]
    fsspec.filesystem("memory").rm(f"/gone/{place.file}")
    dataset[0].prefetch(**WANTED)
    with pytest.raises(CorruptDataError, match="missing"):
        dataset[0].read(**WANTED)


@pytest.mark.parametrize("place", ["s3://bucket/dataset", "hf://buckets/owner/name"])
def test_s3_and_buckets_are_opened_through_fsspec(
    put: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    protocol, path = place.split("://")
    put(path)
    monkeypatch.setitem(_registry, protocol, StandIn)
    assert_views_equal(SceneDataset(place)["a"].read_view(1), VIEWS[1])


def num_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_more_files_stay_open_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_files, "MAX_OPEN_FILES", 3)
    files = LocalFiles(tmp_path)
    before = num_open_files()
    for turn in range(2):
        for number in range(10):
            (tmp_path / str(number)).write_bytes(bytes([number]) * 4)
            assert files.read([Range(str(number), 1, 3)]) == [bytes([number]) * 2], turn
    assert num_open_files() - before <= 3


def test_a_view_that_is_asked_for_twice_is_two_tensors(folder: Path) -> None:
    one, two = SceneDataset(folder).read_fields("a", ["depth"], view_indices=[1, 1], frames=[2])
    assert torch.equal(one["depth"], two["depth"])
    one["depth"].zero_()
    assert two["depth"].any()


def test_footers_are_kept_within_their_limit_and_the_ones_read_last_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [make_view(f"scene-{number:02}", 0, seed=number) for number in range(20)]
    write_dataset(views, tmp_path / "many", splits=None, scenes_per_shard=1, provenance={})
    dataset = SceneDataset(tmp_path / "many", modalities=("camera",))
    asked: list[Range] = []
    read = dataset.files.ranges.read
    monkeypatch.setattr(
        dataset.files.ranges, "read", lambda ranges: (asked.extend(ranges), read(ranges))[1]
    )

    def num_footers(scenes: range) -> int:
        asked.clear()
        for scene in scenes:
            dataset[scene].read_fields(["intrinsics"])
        ends = {shard.path: shard.size for shard in dataset.manifest.shards}
        return sum(part.end == ends.get(part.file) for part in asked)

    assert num_footers(range(20)) == 20
    assert num_footers(range(20)) == 0
    size = max(shard.footer_size for shard in dataset.manifest.shards_of(["camera"]))
    monkeypatch.setattr(plain_columns, "MAX_FOOTER_BYTES", 3 * size)
    again = SceneDataset(tmp_path / "many", modalities=("camera",))
    dataset = again
    monkeypatch.setattr(
        again.files.ranges, "read", lambda ranges: (asked.extend(ranges), read(ranges))[1]
    )
    assert num_footers(range(6)) == 6
    assert num_footers(range(3, 6)) == 0
    assert num_footers(range(3)) == 3
