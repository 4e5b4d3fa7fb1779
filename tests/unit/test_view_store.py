"""A stored view comes back to the bit, or not at all."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import random
import resource
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lyra_data.engine.errors import CorruptDataError, StageOrderError, StorageError
from lyra_data.scene.view import View
from lyra_data.views import store as view_store
from lyra_data.views.fields import row_from_view
from lyra_data.views.store import (
    read_columns,
    read_row,
    read_view,
    view_files,
    view_path,
    write_row,
    write_view,
)
from tests.children import succeeds_in_fresh_process
from tests.factories import assert_views_equal, make_view


def place_of(folder: Path, view: View) -> Path:
    return view_path(folder, view.scene_id, view.view_index, view.trajectory)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return place_of(tmp_path / "views", make_view())


def test_a_view_comes_back_to_the_bit(path: Path) -> None:
    view = make_view()
    extreme = torch.tensor([1e-42, 3e38, 1.0000001, 65504.5, 500.0])
    depth = torch.where(
        view.depth_valid,
        extreme.repeat(view.depth.numel() // 5 + 1)[: view.depth.numel()].reshape(view.depth.shape),
        0.0,
    )
    view = dataclasses.replace(view, depth=depth, fps=23.976023976)
    write_view(path, view)
    assert_views_equal(read_view(path), view)


def test_a_view_of_odd_size_and_of_one_frame_comes_back(path: Path) -> None:
    view = make_view(num_frames=1, height=17, width=23)
    write_view(path, view)
    assert_views_equal(read_view(path), view)


def test_a_movement_that_nobody_knows_comes_back(tmp_path: Path) -> None:
    """As clips in Lyra's layout have it, which do not state theirs."""
    path = tmp_path / "0_left.parquet"
    write_view(path, dataclasses.replace(make_view(), movement_distance=math.nan))
    assert math.isnan(read_view(path).movement_distance)
    with pytest.raises(ValueError, match="JSON"):
        write_view(path, dataclasses.replace(make_view(), movement_distance=math.inf))


def test_the_same_view_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write_view(path, make_view())
    write_view(tmp_path / "again.parquet", make_view())
    assert path.read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_no_flipped_bit_is_ever_read_as_data(path: Path) -> None:
    view = make_view()
    write_view(path, view)
    whole = path.read_bytes()
    draw = random.Random(1)
    refused = 0
    for offset in [*range(0, len(whole), 101), *range(len(whole) - 200, len(whole), 3)]:
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert_views_equal(read_view(path), view)
        except CorruptDataError as error:
            refused += 1
            assert error.where == str(path) and "lyra-data generate" in str(error)
    assert refused > 150


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_cut_view_is_refused(path: Path, share: float) -> None:
    write_view(path, make_view())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CorruptDataError, match="cut or altered"):
        read_view(path)


def test_some_columns_are_those_of_the_whole_row_and_no_others_are_read(path: Path) -> None:
    view = make_view()
    write_view(path, view)
    row, whole = read_row(path), path.read_bytes()
    names = ["provenance", "scene_id", "camera_to_world"]
    assert read_columns(path, names) == {name: row[name] for name in names}
    for name, unread in (("frames", True), ("provenance", False)):
        value = row[name][4] if name == "frames" else row[name].encode()
        damaged = bytearray(whole)
        damaged[whole.index(value) + len(value) // 2] ^= 1
        path.write_bytes(damaged)
        if unread:
            assert read_columns(path, names)["scene_id"] == view.scene_id
            with pytest.raises(CorruptDataError, match="cut or altered"):
                read_row(path)
        else:
            with pytest.raises(CorruptDataError, match="cut or altered"):
                read_columns(path, names)


@pytest.mark.parametrize("rows", [0, 2])
def test_a_file_that_does_not_hold_one_view_is_refused(path: Path, rows: int) -> None:
    write_view(path, make_view())
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table] * rows) if rows else table.slice(0, 0), path)
    for read in (read_row, lambda path: read_columns(path, ["scene_id"])):
        with pytest.raises(CorruptDataError, match="does not hold one view"):
            read(path)


def test_a_view_of_another_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_view(path, make_view())
    monkeypatch.setattr(view_store, "FORMAT_VERSION", 999)
    with pytest.raises(CorruptDataError, match="this release reads version 999"):
        read_view(path)


def test_views_are_listed_by_scene_and_then_by_number(tmp_path: Path) -> None:
    views = [make_view(scene, index) for scene in ("b", "a") for index in (10, 9, 0)]
    for view in views:
        write_view(place_of(tmp_path, view), view)
    (tmp_path / "a" / "notes.txt").write_text("stray")
    rows = [read_row(path) for path in view_files(tmp_path)]
    listed = [(row["scene_id"], row["view_index"]) for row in rows]
    assert listed == [(scene, index) for scene in "ab" for index in (0, 9, 10)]


def test_an_empty_store_tells_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(StageOrderError, match="lyra-data generate"):
        view_files(tmp_path / "absent")


def test_a_full_disk_leaves_no_view(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match="No space left"):
        write_view(path, make_view())
    assert list(path.parent.iterdir()) == []


def _write_under_a_limit(path: Path) -> None:
    sys.dont_write_bytecode = True  # Python would keep the first bytes of a module
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    with pytest.raises(StorageError, match="file size limit") as caught:
        write_view(path, make_view())
    assert caught.value.where == str(path)


def test_a_file_that_may_not_grow_is_a_storage_error(path: Path) -> None:
    assert succeeds_in_fresh_process(_write_under_a_limit, path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("height", 100_000), ("width", 10**9), ("num_frames", 10**9), ("height", -1)],
)
def test_sizes_that_no_view_has_are_refused_before_room_is_made_for_them(
    tmp_path: Path, name: str, value: int
) -> None:
    """The file is sound and has the hash of its content: whoever wrote it wrote that."""
    path = tmp_path / "000_right.parquet"
    write_row(path, {**row_from_view(make_view()), name: value})
    with pytest.raises(CorruptDataError, match=r"no view is so large|not 100000x24"):
        read_view(path)
