"""A published dataset of ours, read by others from the Hub, and by us in byte ranges."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import CommitOperationAdd, HfApi

from lyra_data.dataset.files.byte_ranges import Range
from lyra_data.dataset.files.remote_files import JOINED_GAP, JOINED_SHARE, RemoteFiles, joined
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError
from lyra_data.hub.errors import DownloadError
from lyra_data.hub.folder import HubAddress
from tests.factories import assert_views_equal, make_view
from tests.hub.server import TOKEN, HubState, client_environment, client_pointed_at, running_hub

NAME = "lab/views"
KEY = f"datasets/{NAME}"
URI = f"hf://datasets/{NAME}"
VIEWS = [
    make_view(scene, index, num_frames=33, height=64, width=96, seed=ord(scene))
    for scene in "ab"
    for index in range(3)
]


@dataclass
class Published:
    """A private dataset, tagged v1; main has moved on since."""

    state: HubState
    endpoint: str
    home: Path

    def run(self, code: str, *, python: str = sys.executable) -> str:
        """Run code in a process without our packages, whose files are not on its path."""
        environment = client_environment(self.endpoint, self.home, token=TOKEN)
        del environment["PYTHONPATH"]
        done = subprocess.run(
            [python, "-c", WITHOUT_US + code],
            env=environment | {"USE_TORCH": "0"},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


WITHOUT_US = f"""
import sys
sys.modules.update(dict.fromkeys(["lyra_data", "lyra_model", "stages", "tests"]))
NAME, ROOT = {NAME!r}, "hf://datasets/{NAME}@v1"
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("published")
    write_dataset(VIEWS, folder / "data", splits=None, scenes_per_shard=1, provenance={})
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    additions = [
        CommitOperationAdd(path.relative_to(folder / "data").as_posix(), path) for path in files
    ]
    state = HubState()
    with running_hub(state) as endpoint:
        home = folder / "home"
        home.mkdir()
        with client_pointed_at(endpoint, home, token=TOKEN):
            api = HfApi()
            api.create_repo(NAME, repo_type="dataset", private=True)
            api.create_commit(NAME, additions, commit_message="Version 1", repo_type="dataset")
            api.create_tag(NAME, tag="v1", repo_type="dataset")
        later = {path.path_in_repo: b"of a later version" for path in additions}
        state.commit(state.repositories[KEY], later)
        state.records.clear()
        yield Published(state, endpoint, home)


@pytest.fixture
def reader(published: Published, tmp_path: Path) -> Iterator[Published]:
    """This process reads from the Hub, as the dataset's owner."""
    published.state.records.clear()
    with client_pointed_at(published.endpoint, tmp_path, token=TOKEN):
        yield published


def test_datasets_alone_reads_a_tag_streaming_and_not(published):
    """LYRA_CLEAN_PYTHON names the Python of an environment that has only `datasets`."""
    out = published.run(
        """
import hashlib, json
from datasets import get_dataset_config_names, load_dataset
configs = get_dataset_config_names(NAME, revision="v1")
views = {}
for config in configs:
    whole = load_dataset(NAME, config, revision="v1", split="train")
    streamed = load_dataset(NAME, config, revision="v1", split="train", streaming=True)
    streamed = streamed.decode(False)  # pictures need Pillow, videos torchcodec
    keys = [(row["scene_id"], row["view_index"]) for row in streamed]
    assert keys == list(zip(whole["scene_id"][:], whole["view_index"][:]))
    views[config] = keys
default = load_dataset(NAME, revision="v1", split="train")
latents = load_dataset(NAME, "latent", revision="v1", split="train")
print(json.dumps([views, default.column_names, hashlib.sha256(latents[4]["latent"]).hexdigest()]))
""",
        python=os.environ.get("LYRA_CLEAN_PYTHON", sys.executable),
    )
    views, columns, latents = json.loads(out)
    keys = [[view.scene_id, view.view_index] for view in VIEWS]
    assert views == dict.fromkeys(["preview", "rgb", "latent", "depth", "camera", "mask"], keys)
    assert {"scene_id", "trajectory", "movement_distance"} <= set(columns)
    stored = published.state.files(KEY, "v1")["data/latent/train-00001-of-00002.parquet"]
    column = pq.read_table(pa.BufferReader(stored), columns=["latent"])["latent"]
    assert latents == hashlib.sha256(column[1].as_py()).hexdigest()


def test_polars_and_duckdb_read_the_metadata_through_the_hubs_file_system(published):
    """Both have https://huggingface.co built into their own hf:// readers, so that HF_ENDPOINT
    cannot lead those here; the file system of huggingface_hub is what both take instead."""
    out = published.run(
        """
import duckdb, json, polars
from huggingface_hub import HfFileSystem
system = HfFileSystem()
(name,) = [file for file in system.glob(f"{ROOT}/data/preview/*.parquet") if "00001-of" in file]
with system.open(name) as file:
    table = polars.read_parquet(file, columns=["scene_id", "view_index", "trajectory"])
duckdb.register_filesystem(system)
query = f"select scene_id, view_index, trajectory from '{ROOT}/data/preview/*.parquet'"
rows = duckdb.sql(query + " where scene_id = 'b' order by view_index").fetchall()
index = duckdb.sql(f"select count(*) from '{ROOT}/meta/index/rgb.parquet'").fetchall()
print(json.dumps([table.rows(), rows, index]))
"""
    )
    from_polars, from_duckdb, ((num_blobs,),) = json.loads(out)
    expected = [[view.scene_id, view.view_index, view.trajectory] for view in VIEWS[3:]]
    assert from_polars == from_duckdb == expected
    assert num_blobs >= len(VIEWS)


def test_a_view_from_the_hub_costs_little_more_than_its_bytes(reader):
    dataset = SceneDataset(URI, revision="v1")
    assert_views_equal(dataset["b"].read_view(1), VIEWS[4])
    needed = dataset.counts.num_bytes
    assert reader.state.records.total_served() <= 1.3 * needed
    assert isinstance(dataset.files.ranges, RemoteFiles)
    assert reader.state.records.total_served() == dataset.files.ranges.num_bytes
    assert reader.state.records.tokens_elsewhere == []


def test_frames_of_a_sample_cost_little_more_than_their_bytes(reader):
    dataset = SceneDataset(URI, revision="v1", modalities=("rgb", "camera"))
    dataset["a"].read(frames={0: [3]}, depth=False)  # manifest and index are read once
    reader.state.records.clear()
    before = dataset.counts.num_bytes
    sample = dataset["b"].read(frames={0: [5, 20], 2: [20]}, depth=False)
    assert torch.equal(sample.frames[0], VIEWS[3].frames[[5, 20]])
    assert reader.state.records.total_served() <= 1.3 * (dataset.counts.num_bytes - before)
    whole = sum(len(data) for data in reader.state.files(KEY, "v1").values())
    assert reader.state.records.total_served() < 0.1 * whole


def test_no_listing_is_asked_for_and_every_byte_is_of_one_commit(reader):
    dataset = SceneDataset(URI, revision="v1")
    dataset["a"].read_view(0)
    commit = reader.state.repositories[KEY].history.tags["v1"]
    paths = [request.path for request in reader.state.records.requests]
    resolved = [path for path in paths if "/resolve/" in path]
    assert not any(path.startswith("/api/") for path in paths)
    assert all(f"/resolve/{commit}/" in path for path in resolved[1:])


def test_a_branch_that_moves_is_read_as_it_was_when_it_was_opened(reader):
    state = reader.state
    state.add("lab/moving", state.files(KEY, "v1"), kind="dataset")
    dataset = SceneDataset("hf://datasets/lab/moving")
    others = dict.fromkeys(state.files("datasets/lab/moving"), b"other")
    state.commit(state.repositories["datasets/lab/moving"], others)
    for opened in (dataset, pickle.loads(pickle.dumps(dataset))):
        assert_views_equal(opened["a"].read_view(2), VIEWS[2])
    with pytest.raises(CorruptDataError):
        SceneDataset("hf://datasets/lab/moving")


def test_what_was_read_from_a_moving_branch_is_kept_for_its_commit_alone(reader, tmp_path):
    state, uri = reader.state, "hf://datasets/lab/kept"
    files = state.files(KEY, "v1")
    state.add("lab/kept", files, kind="dataset")

    def latents() -> torch.Tensor:
        dataset = SceneDataset(uri, modalities=("latent",), cache_dir=tmp_path / "cache")
        return dataset.read_fields("a", ["latents"], view_indices=[1])[0]["latents"]

    first = latents()
    served = state.records.total_served()
    assert torch.equal(latents(), first)
    assert state.records.total_served() == served + len(files["meta/manifest.json"])
    write_dataset(VIEWS[:2], tmp_path / "b", splits=None, scenes_per_shard=2, provenance={})
    paths = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
    names = {path.relative_to(tmp_path / "b").as_posix(): path.read_bytes() for path in paths}
    state.commit(state.repositories["datasets/lab/kept"], names)
    assert torch.equal(latents(), first)


@pytest.mark.parametrize(
    ("uri", "revision", "words"),
    [
        ("hf://datasets/lab/nothing", None, "no such repository"),
        (URI, "v9", "no revision 'v9'"),
    ],
)
def test_what_is_not_on_the_hub_is_told(reader, uri, revision, words):
    with pytest.raises(DownloadError, match=words):
        SceneDataset(uri, revision=revision)


def test_a_repository_without_a_dataset_is_told(reader):
    reader.state.add("lab/empty", {"a.txt": b"a"}, kind="dataset")
    with pytest.raises(CorruptDataError, match="never finished"):
        SceneDataset("hf://datasets/lab/empty")


def test_a_passing_fault_of_the_storage_is_overcome(reader):
    reader.state.faults.add("status", "GET /large/.*index", status=503, retry_after=0)
    assert_views_equal(SceneDataset(URI, revision="v1")["a"].read_view(0), VIEWS[0])


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("hf://datasets/a/b", HubAddress("a/b", "dataset", None, "")),
        ("hf://datasets/a/b@v1/c/d", HubAddress("a/b", "dataset", "v1", "c/d")),
        ("hf://datasets/a/b@refs%2Fpr%2F1", HubAddress("a/b", "dataset", "refs/pr/1", "")),
        ("hf://datasets/a/b@refs/pr/1/c", HubAddress("a/b", "dataset", "refs/pr/1", "c")),
        ("hf://a/b@main", HubAddress("a/b", "model", "main", "")),
        ("hf://buckets/a/b/c", None),
    ],
)
def test_addresses_of_the_hub_are_taken_apart(uri, address):
    assert HubAddress.parse(uri) == address


def test_ranges_are_joined_while_what_lies_between_costs_little():
    near = [Range("a", 0, 1000), Range("a", 1010, 2000), Range("a", 2500, 3000)]
    assert joined(near) == [Range("a", 0, 2000), Range("a", 2500, 3000)]
    many = [Range("a", 100 * number, 100 * number + 90) for number in range(100)]
    assert joined(many) == [Range("a", 0, 9990)]
    far = [Range("a", 0, 10**7), Range("a", 10**7 + JOINED_GAP + 1, 2 * 10**7)]
    assert joined(far) == far
    spread = [Range("a", 300 * number, 300 * number + 100) for number in range(50)]
    fetched = sum(part.end - part.begin for part in joined(spread))
    assert fetched <= (1 + JOINED_SHARE) * 5000
    assert joined([Range("b", 5, 9), Range("a", 0, 6), Range("a", 4, 8)]) == [
        Range("a", 0, 8),
        Range("b", 5, 9),
    ]
