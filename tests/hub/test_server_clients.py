"""The test Hub, asked by the real clients in processes of their own, by LFS and by Xet."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hub.server import READ_TOKEN, TOKEN, HubState, client_environment

KEY = "datasets/lab/scenes"
BEGIN = """
import os, sys, random
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem, constants
from huggingface_hub import hf_hub_download, snapshot_download
assert constants.HF_HUB_DISABLE_XET == (os.environ.get("HF_HUB_DISABLE_XET") == "1")
NAME, KIND = "lab/scenes", "dataset"
api = HfApi()
NOISE = random.Random(3).randbytes(400_000)
FLOATS = b"".join(number.to_bytes(4, "little") for number in range(100_000))
"""
UPLOAD = """
files = {"a.parquet": NOISE, "b.bin": FLOATS, "c.bin": NOISE[:1000], "t.txt": b"text"}
api.create_repo(NAME, repo_type=KIND, exist_ok=True)
additions = [CommitOperationAdd(name, data) for name, data in files.items()]
api.preupload_lfs_files(NAME, additions, repo_type=KIND)
made = api.create_commit(NAME, additions, commit_message="all", repo_type=KIND)
api.create_tag(NAME, tag="v1", repo_type=KIND)
"""
DOWNLOAD = """
path = hf_hub_download(NAME, "a.parquet", repo_type=KIND, revision="v1")
assert open(path, "rb").read() == NOISE
folder = snapshot_download(NAME, repo_type=KIND, revision="v1", local_dir="there")
assert open(folder + "/b.bin", "rb").read() == FLOATS
with HfFileSystem().open(f"datasets/{NAME}@v1/b.bin") as file:
    file.seek(70_000)
    assert file.read(100) == FLOATS[70_000:70_100]
"""

Child = Callable[..., str]


@pytest.fixture(params=[False, True], ids=["lfs", "xet"])
def xet(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def child(hub: str, tmp_path: Path, xet: bool) -> Child:
    """Run code in a process that imports the client anew, with a cache of its own each time."""
    number = iter(range(100))

    def run(code: str, *, token: str | None = TOKEN, fails: bool = False) -> str:
        home = tmp_path / f"home{next(number)}"
        home.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=client_environment(hub, home, token=token, xet=xet),
            cwd=home,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def num_requests(state: HubState, words: str) -> int:
    return sum(words in f"{it.method} {it.path}" for it in state.records.requests)


def test_files_come_back_as_they_were_sent(child, hub_state, xet):
    child(BEGIN + UPLOAD + DOWNLOAD)
    files = hub_state.files(KEY, "v1")
    assert sorted(files) == [".gitattributes", "a.parquet", "b.bin", "c.bin", "t.txt"]
    assert files["a.parquet"] == random.Random(3).randbytes(400_000)
    assert num_requests(hub_state, "POST /cas/v1/xorbs") == (1 if xet else 0)
    assert num_requests(hub_state, "PUT /lfs/upload") == (0 if xet else 3)
    assert num_requests(hub_state, "GET /xorbs/") >= (3 if xet else 0)
    assert hub_state.records.tokens_elsewhere == []
    assert not hub_state.records.resent


def test_finished_content_is_not_sent_again(child, hub_state, xet):
    child(BEGIN + UPLOAD)
    sent = hub_state.records.received.total()
    assert sent > 400_000
    again = """
        additions = [CommitOperationAdd("again.bin", NOISE), CommitOperationAdd("b.bin", FLOATS)]
        api.create_commit(NAME, additions, commit_message="again", repo_type=KIND)
    """
    child(BEGIN + "\n".join(line.strip() for line in again.splitlines()))
    assert hub_state.records.received.total() == sent
    assert not hub_state.records.resent
    assert hub_state.files(KEY)["again.bin"] == hub_state.files(KEY, "v1")["a.parquet"]


def test_a_connection_that_was_cut_is_taken_up_again(child, hub_state, xet):
    hub_state.faults.add("cut_request", "POST /cas/v1/xorbs|PUT /lfs/upload", num_bytes=1000)
    hub_state.faults.add("status", "POST /cas/v1/shards|POST /lfs/verify", status=503)
    child(BEGIN + UPLOAD)
    hub_state.faults.add("cut_answer", "GET /xorbs/|GET /large/", num_bytes=2000)
    child(BEGIN + DOWNLOAD)
    cut = [request for request in hub_state.records.requests if request.status == 0]
    assert len(cut) == 2


def test_bytes_that_arrive_altered_are_refused(child, hub_state, xet):
    hub_state.faults.add(
        "alter_request", "POST /cas/v1/xorbs|PUT /lfs/upload", times=None if xet else 1
    )
    child(BEGIN + UPLOAD, fails=True)
    assert "a.parquet" not in hub_state.files(KEY)


def test_a_token_that_reads_only_sends_nothing(child, hub_state, xet):
    hub_state.create("dataset", "lab/scenes")
    assert "403" in child(BEGIN + UPLOAD, token=READ_TOKEN, fails=True)
    assert hub_state.records.received.total() == 0


def test_datasets_reads_a_tag_streaming_and_not(child, tmp_path):
    table = pa.table({"scene": ["a", "b"], "pixels": [random.Random(1).randbytes(300_000)] * 2})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none")
    card = "---\\nconfigs:\\n- config_name: default\\n  data_files: data/*.parquet\\n---\\n"
    send = f"""
api.create_repo(NAME, repo_type=KIND, private=True)
data = open("../data.parquet", "rb").read()
files = {{"README.md": b"{card}", "data/train-00000.parquet": data}}
additions = [CommitOperationAdd(name, data) for name, data in files.items()]
api.create_commit(NAME, additions, commit_message="v1", repo_type=KIND)
api.create_tag(NAME, tag="v1", repo_type=KIND)
deletion = [CommitOperationAdd("data/train-00000.parquet", b"other")]
api.create_commit(NAME, deletion, commit_message="v2", repo_type=KIND)
from datasets import load_dataset
whole = load_dataset(NAME, revision="v1", split="train")
assert whole["scene"][:] == ["a", "b"] and len(whole[1]["pixels"]) == 300_000
streamed = list(load_dataset(NAME, revision="v1", split="train", streaming=True))
assert [row["scene"] for row in streamed] == ["a", "b"]
assert streamed[0]["pixels"] == whole[0]["pixels"]
print("read")
"""
    (tmp_path / "data.parquet").write_bytes(sink.getvalue().to_pybytes())
    assert "read" in child(BEGIN + send)
