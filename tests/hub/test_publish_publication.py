"""Publications: what may be published, and how it is hashed and cut into commits."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.hub.listing import RemoteFile
from lyra_data.sharing.publishing import (
    PublishedFile,
    file_of_bytes,
    files_of_folder,
    hash_cache,
    read_receipt,
    write_receipt,
)
from lyra_data.sharing.publishing.changes import (
    FILES_A_COMMIT,
    INLINE_BYTES,
    Changes,
    batches,
    changes_against,
)
from lyra_data.sharing.publishing.hash_cache import HashCache
from lyra_data.sharing.publishing.receipt import receipt_of
from tests.hub.publications import publication


@pytest.mark.parametrize(
    "name",
    ["scenes", "a/b/c", "a//b", "/b", "lab/", "lab/.x", "lab/x-", "lab/a--b", "lab/a..b",
     "lab/x.git", "lab/é", "lab/a b", "lab/" + "x" * 93, "https://huggingface.co/lab/x"],
)  # fmt: skip
def test_names_that_the_hub_does_not_allow_are_refused(name):
    with pytest.raises(InputError, match="no name that the Hub allows") as caught:
        publication({}, repository=name)
    assert caught.value.fix is not None and "OWNER/NAME" in caught.value.fix


@pytest.mark.parametrize(
    "tag", ["", "main", "HEAD", "a b", "a/b", "-v1", "v1..2", "v1.lock", "v1.", "v" * 65, "ab" * 20]
)
def test_tags_that_are_no_version_are_refused(tag):
    with pytest.raises(InputError, match="is no tag"):
        publication({}, tag=tag)


@pytest.mark.parametrize(
    "path",
    ["../a", "/a", "a/../b", "a//b", "./a", "a/", ".git/config", "x/.cache/y", "a\\b", "a\0b", ""],
)
def test_paths_that_lead_elsewhere_are_refused(path):
    with pytest.raises(InputError):
        publication({path: b""})


def test_other_impossible_publications_are_refused():
    with pytest.raises(InputError, match="no type of repository"):
        publication({}, repository_type="bucket")
    with pytest.raises(InputError, match="a file and a folder"):
        publication({"a": b"", "a/b": b""})
    with pytest.raises(InputError, match="stands twice"):
        replace(publication({}), files=(file_of_bytes("a", b"1"), file_of_bytes("a", b"2")))
    with pytest.raises(InputError, match="nothing to publish"):
        replace(publication({}), files=())
    with pytest.raises(InputError, match="200 GB a file"):
        replace(publication({}), files=(PublishedFile("a", b"", 201 * 10**9, "0"),))
    with pytest.raises(InputError, match="10,001 of them in the folder data"):
        replace(
            publication({}), files=tuple(file_of_bytes(f"data/{n}", b"") for n in range(10_001))
        )
    for message in ("", "two\nlines", "x" * 81):
        with pytest.raises(InputError, match="is no message"):
            publication({}, message=message)


def test_the_key_is_that_of_the_content_at_the_tag():
    ours = publication({"a": b"1"})
    assert ours.key == publication({"a": b"1"}, message="other words", facts={"x": 1}).key
    others = [
        publication({"a": b"2"}),
        publication({"b": b"1"}),
        publication({"a": b"1"}, tag="v2"),
    ]
    assert len({ours.key, *(other.key for other in others)}) == 4


def test_files_are_known_by_either_hash_of_the_hub():
    file = file_of_bytes("a", b"hello\n")
    by_git = RemoteFile("a", 6, None, "ce013625030ba8dba906f756967f9e9ca394464a")
    assert file.is_same(by_git)
    assert file.is_same(RemoteFile("a", 6, file.sha256, None))
    assert not file.is_same(RemoteFile("a", 6, "0" * 64, None))
    assert not file.is_same(RemoteFile("a", 7, file.sha256, None))
    assert not file.is_same(None)


def test_what_is_kept_is_not_removed():
    remote = {name: RemoteFile(name, 1, "0", None) for name in (".gitattributes", "old", "eval/x")}
    assert changes_against(publication({}), remote).removed == ("eval/x", "old")
    kept = publication({}, kept=(".gitattributes", "eval/*"))
    assert changes_against(kept, remote).removed == ("old",)


def sized(*sizes: int) -> tuple[PublishedFile, ...]:
    return tuple(PublishedFile(f"{n}", b"", size, "0") for n, size in enumerate(sizes))


@pytest.mark.parametrize("num_files", [0, 1, 99, 100, 101, 250])
@pytest.mark.parametrize("num_removed", [0, 1, 60, 230])
def test_batches_hold_every_change_once_and_are_small(num_files, num_removed):
    removed = tuple(f"old {n}" for n in range(num_removed))
    changes = Changes(sized(*[1] * num_files), removed)
    parts = batches(changes)
    assert tuple(file for part in parts for file in part.pending) == changes.pending
    assert tuple(path for part in parts for path in part.removed) == removed
    assert all(0 < len(part) <= FILES_A_COMMIT for part in parts)
    assert len(parts) == -(-len(changes) // FILES_A_COMMIT)


def test_texts_inside_a_commit_are_few():
    parts = batches(Changes(sized(*[INLINE_BYTES] * 9, *[10**9] * 9), ()))
    assert [len(part) for part in parts] == [4, 4, 10]


def test_an_unchanged_file_is_hashed_once(tmp_path, monkeypatch):
    monkeypatch.setattr(hash_cache, "SETTLED_NANOSECONDS", 0)
    path, lines = tmp_path / "a", tmp_path / "scratch" / "hashes.jsonl"
    path.write_bytes(b"1")
    sha256 = HashCache(lines).sha256(path)
    with lines.open("a") as file:
        file.write('["torn')
    monkeypatch.setattr(hash_cache, "sha256_of_file", lambda path: "anew")
    assert HashCache(lines).sha256(path) == sha256
    path.write_bytes(b"12")
    assert HashCache(lines).sha256(path) == "anew"


def test_a_file_that_comes_with_an_old_time_is_hashed_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(hash_cache, "SETTLED_NANOSECONDS", 0)
    path, cache = tmp_path / "a", HashCache(tmp_path / "hashes.jsonl")
    path.write_bytes(b"1")
    os.utime(path, (10**9, 10**9))
    former = cache.sha256(path)
    time.sleep(0.02)  # the kernel's clock of files may tick every 10 ms
    path.write_bytes(b"2")
    os.utime(path, (10**9, 10**9))
    assert cache.sha256(path) != former


def test_a_file_of_this_moment_is_not_remembered(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    HashCache(tmp_path / "hashes.jsonl").sha256(tmp_path / "a")
    assert not (tmp_path / "hashes.jsonl").exists()


def test_a_folder_becomes_files_in_order(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = files_of_folder(tmp_path, below="data/")
    assert [file.path for file in files] == ["data/a/b/c.txt", "data/a/z.txt", "data/b.txt"]
    assert [file.size for file in files] == [9, 7, 5]
    assert files[2] == PublishedFile("data/b.txt", tmp_path / "b.txt", 5, files[2].sha256)


def test_a_link_out_of_the_folder_is_not_published(tmp_path):
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "id_ed25519").write_text("secret")
    (folder / "own.txt").write_text("own")
    (folder / "below" / "own.txt").symlink_to("../own.txt")
    assert len(files_of_folder(folder)) == 2
    (folder / "below" / "notes.txt").symlink_to(tmp_path / "id_ed25519")
    with pytest.raises(InputError, match="link that leads out") as raised:
        files_of_folder(folder)
    assert "notes.txt" in str(raised.value)


def test_links_into_the_cache_of_dvc_are_files(tmp_path):
    cached = tmp_path / "shared" / "files" / "md5" / "d4" / "1d8cd98f00b204e9800998ecf8427e"
    cached.parent.mkdir(parents=True)
    cached.write_text("content")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").symlink_to(cached)
    (file,) = files_of_folder(tmp_path / "folder")
    assert (file.path, file.size) == ("a.txt", 7)


def test_a_receipt_comes_back_and_is_the_same_bytes(tmp_path: Path):
    ours = publication({"b": b"2", "a": b"1"}, facts={"dvc_lock": "ab", "n": [1, 2]})
    receipt = receipt_of(ours, "c" * 40)
    for name in ("1.json", "2.json"):
        write_receipt(receipt, tmp_path / name)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    assert read_receipt(tmp_path / "1.json") == receipt
    assert receipt.size == ours.size


@pytest.mark.parametrize(
    "damage",
    [("{", "["), ('"format_version": 1', '"format_version": 9'), ('"a"', '"../a"'),
     ('"commit"', '"comit"'), ('"size": 1', '"size": "1"'), ('"tag": "v1.0.0"', '"tag": 1')],
)  # fmt: skip
def test_a_damaged_receipt_is_refused(tmp_path, damage):
    write_receipt(receipt_of(publication({"a": b"1"}), "c" * 40), tmp_path / "receipt.json")
    text = (tmp_path / "receipt.json").read_text()
    assert damage[0] in text
    (tmp_path / "receipt.json").write_text(text.replace(*damage))
    with pytest.raises(CorruptDataError, match="receipt"):
        read_receipt(tmp_path / "receipt.json")
