"""Finished work at an address: found by other machines when whole, harmless when not."""

from __future__ import annotations

import json
import logging
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from lyra_data.engine.errors import InputError, StorageError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.failed_tasks import FailedTasks
from lyra_data.engine.executors.shares import Share
from lyra_data.engine.failures import Failure
from lyra_data.engine.hashing import content_key, sha256_of_files
from lyra_data.engine.progress import silent
from lyra_data.engine.remote_work import LAYOUT_FILE, RemoteWork
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.runner import generate_share, generate_views
from tests.generation_stubs import StubMaker, stub_params, write_clips
from tests.remote_machines import KEY, Machine, kill_and_look, lyra_data

OTHER = content_key("other")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def one(tmp_path: Path, remote: Path) -> Machine:
    return Machine(tmp_path / "one" / ".work", f"file://{remote}")


@pytest.fixture
def two(tmp_path: Path, remote: Path) -> Machine:
    return Machine(tmp_path / "two" / ".work", f"file://{remote}")


def archives(remote: Path, key: str = KEY) -> list[Path]:
    return sorted((remote / "items" / "generate" / key).glob("*.tar"))


def marker(remote: Path, key: str = KEY) -> Path:
    return remote / "finished" / "generate" / f"{key}.json"


def test_what_one_machine_finished_another_one_has(one, two):
    one.put()
    assert two.read() == "finished"
    assert sha256_of_files(two.folder) == sha256_of_files(one.folder)
    assert two.store().get(OTHER) is None
    assert two.store("annotate").get(KEY) is None


def test_a_run_asks_once_which_items_are_finished(one, two, monkeypatch):
    one.put()
    store = two.store()
    asked = []
    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.ls", asked.append)
    assert store.get(OTHER) is None
    assert store.get(KEY) is not None
    assert asked == []


def test_a_worker_in_another_process_knows_what_was_listed(one, two):
    one.put()
    work = pickle.loads(pickle.dumps(RemoteWork.at(two.address).listed("generate")))
    assert ScratchStore(two.folder, "generate", work).get(KEY) is not None


def test_an_item_that_was_finished_before_is_sent(one, two):
    one.put(store=ScratchStore(one.folder, "generate"))
    assert two.read() is None
    assert one.read() == "finished"
    assert two.read() == "finished"


def test_an_item_is_sent_once(one, remote):
    one.put()
    store = one.store()
    assert store.get(KEY) is not None
    one.put(store=store)
    assert len(archives(remote)) == 1


def test_two_machines_that_finish_one_item_leave_a_whole_one(one, two, tmp_path, remote):
    stores = [one.store(), two.store()]
    one.put(text="as one made it", store=stores[0])
    two.put(text="as the other made it", store=stores[1])
    assert len(archives(remote)) == 2
    assert Machine(tmp_path / "three", one.address).read() == "as the other made it"
    assert one.read() == "as one made it"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:600])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_an_item_that_is_damaged_there_is_made_again(one, two, remote, damage, caplog):
    one.put()
    damage(archives(remote)[0])
    store = two.store()
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
    assert "made again" in caplog.text
    two.put(text="again", store=store)
    assert one.read() == "finished"
    assert Machine(remote.parent / "three", one.address).read() == "again"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "\xff",
        '{"upload": "../../../elsewhere", "sha256": ""}',
        '{"upload": 7, "sha256": 7}',
        "[" * 5000,
    ],
)
def test_an_item_whose_marker_cannot_be_read_counts_not(one, two, remote, text):
    one.put()
    marker(remote).write_text(text, encoding="latin-1")
    assert two.read() is None


def test_an_archive_that_leads_outside_is_not_followed(one, two, remote):
    import io
    import tarfile

    from lyra_data.engine.hashing import sha256_of_file

    one.put()
    for name, kind in (("../outside", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)):
        path = archives(remote)[0]
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member, io.BytesIO())
        facts = json.loads(marker(remote).read_text())
        marker(remote).write_text(json.dumps(facts | {"sha256": sha256_of_file(path)}))
        assert two.read() is None
    assert not [path for path in two.folder.rglob("*") if path.is_file()]


def test_what_has_another_layout_is_left_alone(one, remote):
    one.put()
    (remote / LAYOUT_FILE).write_text('{"lyra_data_work": 2}')
    with pytest.raises(InputError, match="another version"):
        one.store()


def test_names_that_are_no_markers_are_passed_over(one, two, remote):
    one.put()
    for name in ("notes.txt", f"{KEY[:10]}.json", f"{KEY}.json.part", "Z" * 64 + ".json"):
        (marker(remote).parent / name).write_text("x")
    assert two.read() == "finished"


def test_a_remote_that_cannot_be_written_is_told_before_any_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError) as caught:
        RemoteWork.at(f"file://{tmp_path}/file/work").listed("generate")
    assert "file/work" in (caught.value.where or "")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/mnt/work", "is no address"),
        ("", "is no address"),
        ("http://host/work", "cannot be written to"),
        ("ftp://host/work", "cannot be written to"),
        ("hf://datasets/lab/scenes", "a commit of every file"),
        ("hf://buckets/lab", "a commit of every file"),
        ("s3://", "a part is missing"),
        ("s3://bucket/../other", "a part is missing"),
        ("s3://bucket//work", "a part is missing"),
        ("s3://bucket/work?x=1", "control character"),
        ("s3://bucket/\nwork", "control character"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address, reason):
    with pytest.raises(InputError, match=reason):
        RemoteWork.at(address)


def test_an_address_with_a_secret_is_refused_and_not_repeated():
    with pytest.raises(InputError) as caught:
        RemoteWork.at("s3://key:hunter2@bucket/work")
    assert "hunter2" not in str(caught.value)


def test_failures_are_known_to_other_machines_until_they_are_mended(one, two):
    def failed(machine: Machine) -> FailedTasks:
        return FailedTasks(machine.folder, "f", RemoteWork.at(machine.address).listed("f"))

    failed(one).put(KEY, Failure("a/left", "InputError", "nothing to see"))
    known = failed(two)
    failure = known.get(KEY)
    assert failure is not None and failure.reason == "nothing to see"
    known.forget(KEY)
    assert failed(two).get(KEY) is None
    assert failed(Machine(one.folder.parent / "new", one.address)).get(KEY) is None


# --- stages ---------------------------------------------------------------------------------


def generating(folder: Path, remote: Path, **faults: str) -> tuple[StubMaker, dict[str, Any]]:
    """Return a maker that costs nothing, and what generates two scenes on a machine."""
    maker = StubMaker(folder / "log", {name.replace("_", "/"): f for name, f in faults.items()})
    options = {
        "seed": 1,
        "clips": write_clips(folder / "clips", "a", "b"),
        "views": folder / "outputs" / "views",
        "scratch": folder / ".work",
        "progress": silent,
        "maker": maker,
        "remote": RemoteWork.at(f"file://{remote}"),
    }
    return maker, options


PARAMS = stub_params("left", "up", max_failed_fraction=0.3)


def test_the_last_machine_makes_no_view_that_others_made_and_tries_no_failure(tmp_path, remote):
    for index in (1, 2):
        _, options = generating(tmp_path / str(index), remote, a_up="input")
        results = generate_share(PARAMS, Share(index, 2), **options)
    assert results.finished == 3
    maker, options = generating(tmp_path / "last", remote)
    done = generate_views(PARAMS, **options)
    assert (done.made, done.reused, done.known_failures) == (0, 3, 1)
    assert maker.lines() == []

    done = generate_views(PARAMS, **options, retry_failed=True)
    assert (done.made, done.reused, done.failures) == (1, 3, [])
    _, others = generating(tmp_path / "another", remote)
    assert generate_views(PARAMS, **others).reused == 4
    assert sha256_of_files(others["views"]) == sha256_of_files(options["views"])


def test_encoded_views_reach_another_machine_with_their_blobs(tmp_path, remote):
    params = stub_params("left", "up", store="compat")
    for index in (1, 2):
        _, options = generating(tmp_path / str(index), remote)
        assert generate_share(params, Share(index, 2), **options).made == 2
        assert not options["views"].exists()
    maker, options = generating(tmp_path / "last", remote)
    assert generate_views(params, **options).reused == 4
    assert maker.lines() == []
    _, alone = generating(tmp_path / "alone", remote)
    generate_views(params, **alone | {"remote": None})
    for folder in ("views", "encoded"):
        one, other = options["views"].parent / folder, alone["views"].parent / folder
        assert sha256_of_files(one) == sha256_of_files(other)
    blobs = sorted((remote / "finished" / "encoded").iterdir())
    assert len(blobs) == 2  # scenes of the stand-in have the same frames
    for blob in blobs:
        blob.unlink()
    maker, options = generating(tmp_path / "without", remote)
    assert generate_views(params, **options).made == 2  # a view without its blobs is none
    assert sorted((remote / "finished" / "encoded").iterdir()) == blobs


@pytest.mark.usefixtures("warm_workers")
def test_workers_in_processes_of_their_own_send_and_fetch(tmp_path, remote):
    _, options = generating(tmp_path / "one", remote)
    assert generate_views(PARAMS, crew=Crew(workers=2), **options).made == 4
    maker, others = generating(tmp_path / "two", remote)
    done = generate_views(PARAMS, crew=Crew(workers=2), **others)
    assert done.reused == 4 and maker.lines() == []
    assert sha256_of_files(others["views"]) == sha256_of_files(options["views"])


@pytest.mark.parametrize("stage", ["annotate", "generate", "package"])
def test_the_address_may_stand_in_the_environment(stage, tmp_path, monkeypatch):
    monkeypatch.setenv("LYRA_WORK", "ftp://host/work")
    said = lyra_data(tmp_path, stage, expect=2)
    assert "ftp:// cannot be written to" in said["error"]["what"]
    assert said["error"]["where"] == "--work"


# --- kills ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_kill_leaves_whole_items_alone(tmp_path, remote):
    draw = random.Random(3)
    for number in range(8):
        kill_and_look(tmp_path / str(number), f"file://{remote}/{number}", draw.uniform(0.0, 0.3))
