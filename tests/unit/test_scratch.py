"""Finished work is found again, and only finished work."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyra_data.engine.hashing import content_key
from lyra_data.engine.scratch import ScratchStore
from tests.children import kill_after_first, succeeds_in_fresh_process

KEY = content_key({"scene": "a", "trajectory": "left"})


def _put(store: ScratchStore, key: str = KEY, text: str = "finished") -> None:
    with store.put(key) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "result").write_text(text)
        (folder / "notes").write_text("notes")


@pytest.fixture
def store(tmp_path: Path) -> ScratchStore:
    return ScratchStore(tmp_path / ".work", "generate")


def test_a_finished_item_is_found_by_its_key_alone(store: ScratchStore, tmp_path: Path) -> None:
    assert store.get(KEY) is None
    _put(store)
    again = ScratchStore(tmp_path / ".work", "generate")
    found = again.get(KEY)
    assert found is not None and (found / "deep" / "result").read_text() == "finished"
    assert again.get(content_key("other")) is None
    assert ScratchStore(tmp_path / ".work", "annotate").get(KEY) is None


def test_an_item_that_failed_is_never_seen(store: ScratchStore) -> None:
    with pytest.raises(ZeroDivisionError), store.put(KEY) as folder:
        (folder / "half").write_text("half")
        _ = 1 / 0
    assert store.get(KEY) is None
    assert list(store.folder.iterdir()) == []


def _cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink])
@pytest.mark.parametrize("name", ["deep/result", "notes", "contents.json"])
def test_a_damaged_item_is_made_again_with_a_warning(
    store: ScratchStore, damage, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    _put(store)
    damage(store.folder / KEY / name)
    with caplog.at_level(logging.WARNING):
        found = store.get(KEY)
    assert found is None
    assert "damaged" in caplog.text and KEY in caplog.text
    _put(store, text="again")
    mended = store.get(KEY)
    assert mended is not None and (mended / "deep" / "result").read_text() == "again"


def test_a_file_added_to_an_item_is_damage(store: ScratchStore) -> None:
    _put(store)
    (store.folder / KEY / "stray").write_text("")
    assert store.get(KEY) is None


def test_the_first_of_two_workers_on_one_item_wins(store: ScratchStore, tmp_path: Path) -> None:
    other = ScratchStore(tmp_path / ".work", "generate")
    with store.put(KEY) as folder:
        (folder / "result").write_text("slow")
        with other.put(KEY) as other_folder:
            (other_folder / "result").write_text("fast")
    found = store.get(KEY)
    assert found is not None and (found / "result").read_text() == "fast"
    assert [path.name for path in store.folder.iterdir()] == [KEY]


def _fill(store: ScratchStore) -> Iterator[None]:
    for number in range(10_000):
        with store.put(content_key(number)) as folder:
            for name in "abcd":
                (folder / name).write_text(f"{number} {name}" * 1000)
        yield


def test_whatever_moment_a_worker_is_killed_at_only_whole_items_are_seen(tmp_path: Path) -> None:
    assert succeeds_in_fresh_process(_kill_workers_at_any_moment, tmp_path)


def _kill_workers_at_any_moment(tmp_path: Path) -> None:
    draw = random.Random(0)
    store = ScratchStore(tmp_path, "generate")
    for _ in range(12):
        kill_after_first(draw.uniform(0.0, 0.01), _fill(ScratchStore(tmp_path, "generate")))
        items = list(store.folder.glob("[0-9a-f]*"))
        assert items and all(store.get(item.name) == item for item in items)
    _put(ScratchStore(tmp_path, "generate"))
    assert list(store.folder.glob(".partial-*")) == []
