"""Ranges read from afar are kept within a limit, by several processes, and checked when read."""

from __future__ import annotations

import errno
import logging
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lyra_data.dataset.files import range_cache
from lyra_data.dataset.files.cached_files import CachedFiles
from lyra_data.dataset.files.range_cache import BLOCK_BYTES, RangeCache, cache_folder, usual_limit
from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError
from tests.factories import assert_views_equal, make_view
from tests.warm_processes import warm_context

ONE, OTHER = "1" * 64, "f" * 64
VIEWS = [make_view("a", index, seed=1) for index in range(2)]


def block(number: int) -> bytes:
    return bytes([number % 256]) * BLOCK_BYTES


def kept_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{'[0-9a-f]' * 64}/*-*") if path.is_file()]


def kept_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in kept_files(folder))


def used_at(cache: RangeCache, number: int, seconds: int) -> None:
    """Say that a range was used that long after the beginning of time."""
    begin = number * BLOCK_BYTES
    os.utime(cache.folder / ONE / f"{begin}-{begin + BLOCK_BYTES}", (seconds, seconds))


def test_a_range_that_was_kept_is_given_again_to_whoever_shares_the_folder(tmp_path: Path) -> None:
    RangeCache(tmp_path, 10 * BLOCK_BYTES).put(ONE, 5, b"content")
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    assert cache.get(ONE, 5, 12) == b"content"
    assert cache.get(ONE, 5, 11) is cache.get(OTHER, 5, 12) is None
    assert pickle.loads(pickle.dumps(cache)).get(ONE, 5, 12) == b"content"


def test_the_limit_holds_where_the_clock_was_set_back(tmp_path: Path) -> None:
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    for number in range(40):
        cache.put(ONE, number * BLOCK_BYTES, block(number))
        if number < 10:
            used_at(cache, number, 2**33)  # the year 2242
        assert kept_bytes(tmp_path) <= 10 * BLOCK_BYTES
        assert cache.get(ONE, number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES) == block(number)


def test_those_not_used_for_longest_go_and_the_limit_holds(tmp_path: Path) -> None:
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    for number in range(10):
        cache.put(ONE, number * BLOCK_BYTES, block(number))
        used_at(cache, number, 100 + number)
    assert cache.get(ONE, 0, BLOCK_BYTES) == block(0)  # used now
    cache.put(OTHER, 0, block(77))
    assert kept_bytes(tmp_path) == 9 * BLOCK_BYTES
    assert cache.get(OTHER, 0, BLOCK_BYTES) == block(77)
    assert cache.get(ONE, 0, BLOCK_BYTES) == block(0)
    for number in (1, 2):
        begin = number * BLOCK_BYTES
        assert cache.get(ONE, begin, begin + BLOCK_BYTES) is None


def test_a_small_range_counts_as_the_block_that_it_takes(tmp_path: Path) -> None:
    cache = RangeCache(tmp_path, 4 * BLOCK_BYTES)
    for number in range(20):
        cache.put(ONE, number, b"x")
        assert len(kept_files(tmp_path)) <= 4
    assert len(kept_files(tmp_path)) >= 2


def test_one_larger_than_the_limit_is_not_kept_and_none_is_where_the_limit_is_0(
    tmp_path: Path,
) -> None:
    RangeCache(tmp_path, BLOCK_BYTES).put(ONE, 0, 2 * block(1))
    RangeCache(tmp_path, 0).put(ONE, 0, b"x")
    assert kept_files(tmp_path) == []


def fill(folder: Path, worker: int) -> int:
    """Put and get many ranges; return the most that the folder ever held."""
    cache, most = RangeCache(folder, 16 * BLOCK_BYTES), 0
    for number in range(60):
        begin = (7 * number + worker) % 40 * BLOCK_BYTES
        data = cache.get(ONE, begin, begin + BLOCK_BYTES)
        assert data in (None, block(begin // BLOCK_BYTES))
        if data is None:
            cache.put(ONE, begin, block(begin // BLOCK_BYTES))
        sizes = []
        for path in kept_files(folder):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue
        most = max(most, sum(sizes))
    return most


def test_processes_share_the_limit_and_read_nothing_but_whole_ranges(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=warm_context()) as processes:
        most = list(processes.map(fill, [tmp_path] * 3, range(3)))
    with ThreadPoolExecutor(3) as threads:
        most += threads.map(fill, [tmp_path] * 3, range(3, 6))
    assert max(most) <= 16 * BLOCK_BYTES
    assert not list(tmp_path.glob(".partial-*"))


def test_what_a_killed_process_reserved_is_found_out_when_room_is_made(tmp_path: Path) -> None:
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    cache.put(ONE, 0, block(1))
    leftover = tmp_path / f".partial-{'0' * 16}"
    leftover.mkdir()
    (leftover / "0-4096").write_bytes(block(2))
    (tmp_path / range_cache.ACCOUNT).write_text(str(10 * BLOCK_BYTES))
    cache.put(ONE, BLOCK_BYTES, block(3))
    assert cache.get(ONE, 0, BLOCK_BYTES) == block(1)
    assert cache.get(ONE, BLOCK_BYTES, 2 * BLOCK_BYTES) == block(3)
    assert int((tmp_path / range_cache.ACCOUNT).read_text()) == 2 * BLOCK_BYTES
    assert not leftover.exists()


@pytest.mark.parametrize("account", ["", "no number", "-5"])
def test_an_account_that_says_nothing_is_made_anew(tmp_path: Path, account: str) -> None:
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    cache.put(ONE, 0, block(1))
    (tmp_path / range_cache.ACCOUNT).write_text(account)
    cache.put(ONE, BLOCK_BYTES, block(3))
    assert int((tmp_path / range_cache.ACCOUNT).read_text()) == 2 * BLOCK_BYTES


def test_files_of_others_in_the_folder_are_never_removed(tmp_path: Path) -> None:
    mine = tmp_path / "notes" / "1-2"
    mine.parent.mkdir()
    mine.write_bytes(block(0))
    (tmp_path / ONE).mkdir()
    (tmp_path / ONE / "mine.txt").write_bytes(block(0))
    cache = RangeCache(tmp_path, 2 * BLOCK_BYTES)
    for number in range(6):
        cache.put(ONE, number * BLOCK_BYTES, block(number))
    assert mine.is_file() and (tmp_path / ONE / "mine.txt").is_file()


def test_a_full_disk_is_told_once_and_reading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    cache.put(ONE, 0, block(1))

    def refuse(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with caplog.at_level(logging.WARNING):
        cache.put(ONE, BLOCK_BYTES, block(2))
        cache.put(ONE, 2 * BLOCK_BYTES, block(3))
    assert len(caplog.records) == 1 and "No space left" in caplog.text
    assert cache.get(ONE, 0, BLOCK_BYTES) == block(1)
    assert int((tmp_path / range_cache.ACCOUNT).read_text()) == BLOCK_BYTES
    assert [path.name for path in kept_files(tmp_path)] == [f"0-{BLOCK_BYTES}"]


def test_a_range_that_lost_its_end_is_not_given(tmp_path: Path) -> None:
    cache = RangeCache(tmp_path, 10 * BLOCK_BYTES)
    cache.put(ONE, 0, block(1))
    (path,) = kept_files(tmp_path)
    path.write_bytes(b"half")
    assert cache.get(ONE, 0, BLOCK_BYTES) is None
    assert not path.exists()


def test_the_folder_is_the_one_of_the_environment_or_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYRA_CACHE", str(tmp_path / "nvme"))
    assert cache_folder() == tmp_path / "nvme"
    monkeypatch.delenv("LYRA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lyra-data" / "datasets"
    assert 0 < usual_limit(tmp_path / "not" / "there") == usual_limit(tmp_path)


@pytest.fixture
def uri(tmp_path: Path) -> Any:
    write_dataset(VIEWS, tmp_path / "dataset", splits=None, scenes_per_shard=1, provenance={})
    system = fsspec.filesystem("memory")
    for path in (tmp_path / "dataset").rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "dataset").as_posix()
            system.pipe_file(f"/cached/{name}", path.read_bytes())
    yield "memory://cached"
    system.store.clear()


def opened(uri: str, folder: Path, limit: int | None = None) -> tuple[SceneDataset, RemoteFiles]:
    dataset = SceneDataset(uri, cache_dir=folder, cache_bytes=limit)
    cached = dataset.files.ranges
    assert isinstance(cached, CachedFiles) and isinstance(cached.remote, RemoteFiles)
    return dataset, cached.remote


def test_the_second_epoch_asks_for_nothing_and_reads_the_same(uri: str, tmp_path: Path) -> None:
    opened(uri, tmp_path / "kept")[0]["a"].read_view(1)
    dataset, remote = opened(uri, tmp_path / "kept")
    asked = remote.num_requests
    for copy in (dataset, pickle.loads(pickle.dumps(dataset))):
        copy["a"].prefetch(frames={1: [3]}, latents=[1])
        assert_views_equal(copy["a"].read_view(1), VIEWS[1])
    assert remote.num_requests == asked


def test_a_frame_is_found_again_whatever_is_read_beside_it(uri: str, tmp_path: Path) -> None:
    dataset, remote = opened(uri, tmp_path / "kept")
    dataset["a"].read(frames={0: [3, 4, 5]}, depth=False)
    asked = remote.num_requests
    dataset["a"].read(frames={0: [4]}, depth=False)
    assert remote.num_requests == asked


def test_altered_bytes_in_the_cache_are_fetched_again(uri: str, tmp_path: Path) -> None:
    dataset, remote = opened(uri, tmp_path / "kept")
    dataset["a"].read_view(1)
    for path in kept_files(tmp_path / "kept"):
        content = path.read_bytes()
        path.write_bytes(bytes([content[0] ^ 255]) + content[1:])
    again, remote = opened(uri, tmp_path / "kept")
    assert_views_equal(again["a"].read_view(1), VIEWS[1])
    asked = remote.num_requests
    assert_views_equal(again["a"].read_view(1), VIEWS[1])
    assert remote.num_requests == asked


def test_what_a_server_got_wrong_is_not_kept_for_good(uri: str, tmp_path: Path) -> None:
    dataset, _ = opened(uri, tmp_path / "kept")
    blob = dataset["a"].stored.blobs("latent")[1, "latents"]
    store = fsspec.filesystem("memory")
    right = store.cat_file(f"/cached/{blob.file}")
    wrong = bytearray(right)
    wrong[blob.offset + 5] ^= 1
    store.pipe_file(f"/cached/{blob.file}", bytes(wrong))
    with pytest.raises(CorruptDataError, match="do not have the hash"):
        dataset["a"].read(latents=[1])
    store.pipe_file(f"/cached/{blob.file}", right)
    assert_views_equal(dataset["a"].read_view(1), VIEWS[1])


def test_a_dataset_that_was_published_anew_has_ranges_of_its_own(uri: str, tmp_path: Path) -> None:
    opened(uri, tmp_path / "kept")[0]["a"].read_view(0)
    other = [make_view("a", index, seed=9) for index in range(2)]
    write_dataset(other, tmp_path / "other", splits=None, scenes_per_shard=1, provenance={})
    for path in (tmp_path / "other").rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "other").as_posix()
            fsspec.filesystem("memory").pipe_file(f"/cached/{name}", path.read_bytes())
    assert_views_equal(opened(uri, tmp_path / "kept")[0]["a"].read_view(0), other[0])


def test_a_dataset_in_a_folder_keeps_nothing_elsewhere(uri: str, tmp_path: Path) -> None:
    dataset = SceneDataset(tmp_path / "dataset", cache_dir=tmp_path / "kept")
    dataset["a"].read_view(0)
    assert not (tmp_path / "kept").exists()


def test_a_hash_that_is_none_names_no_file(tmp_path: Path) -> None:
    files = CachedFiles(
        RemoteFiles("memory://x", None), {"data": "../../x"}, RangeCache(tmp_path, 100)
    )
    assert files.hashes == {}
