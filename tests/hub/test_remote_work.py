"""Work through an S3 server: machines without a shared folder do one project together."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from lyra_data.engine.errors import StorageError
from lyra_data.engine.hashing import content_key, sha256_of_files
from lyra_data.engine.remote_work import RemoteWork
from tests.hub import s3_server
from tests.hub.s3_server import running_s3_server
from tests.pipeline.project import Project
from tests.remote_machines import RESULTS, Machine, kill_and_look, lyra_data, made_project

pytestmark = pytest.mark.slow  # a server of its own, and many flushed files


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_s3_server(tmp_path_factory.mktemp("s3")) as address:
        keys = {"key": s3_server.ACCESS_KEY, "secret": s3_server.SECRET_KEY}
        client = {"endpoint_url": address, "region_name": "us-east-1"}
        fsspec.filesystem("s3", **keys, client_kwargs=client).mkdir("store")
        yield address


@pytest.fixture
def keys(server: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a user sets in the environment."""
    variables = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": s3_server.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3_server.SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return variables


def fresh_machine(project: Project, root: Path) -> Path:
    """Return a folder with what git and its inputs give a machine, and nothing made."""
    root.mkdir()
    shutil.copy(project.params_file, root)
    shutil.copytree(project.root / "inputs", root / "inputs")
    return root


@pytest.mark.usefixtures("keys")
def test_machines_that_share_nothing_but_a_bucket_give_the_bytes_of_one(tmp_path):
    project = made_project(tmp_path / "one")
    for stage in RESULTS:
        lyra_data(project.root, stage)
    expected = {stage: sha256_of_files(project.root / out) for stage, out in RESULTS.items()}

    work = ("--work", "s3://store/project")
    first = fresh_machine(project, tmp_path / "first")
    second = fresh_machine(project, tmp_path / "second")
    last = fresh_machine(project, tmp_path / "last")
    for stage, out in RESULTS.items():
        one = lyra_data(first, stage, "--shard", "1/2", *work)
        other = lyra_data(second, stage, "--shard", "2/2", *work)
        assert one["made"] == one["size"] and other["made"] == other["size"]
        for machine in (last, first, second):
            done = lyra_data(machine, stage, *work)
            assert done.get("made", 0) == 0
            assert sha256_of_files(machine / out) == expected[stage]


@pytest.mark.usefixtures("keys")
def test_what_a_killed_machine_sent_is_whole(tmp_path):
    draw = random.Random(5)
    for number in range(4):
        kill_and_look(tmp_path / str(number), f"s3://store/kill{number}", draw.uniform(0.0, 0.4))


@pytest.mark.usefixtures("keys")
def test_a_thousand_and_more_items_are_listed(tmp_path):
    """A server gives a thousand names at a time."""
    machine = Machine(tmp_path / "many", "s3://store/many")
    machine.put()
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    names = [f"store/many/finished/generate/{content_key(number)}.json" for number in range(1200)]
    system.pipe(dict.fromkeys(names, b"{}"))
    assert len(RemoteWork.at(machine.address).listed("generate").items("generate")) == 1201
    assert Machine(tmp_path / "reader", machine.address).read() == "finished"


@pytest.mark.parametrize(
    ("changed", "bucket", "reason"),
    [
        ({"AWS_ACCESS_KEY_ID": "another"}, "work", "does not know this access key"),
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "work", "does not belong to this access key"),
        ({}, "nowhere", "there is no such bucket"),
    ],
)
def test_what_the_server_refuses_is_told_before_any_work(
    keys, monkeypatch, changed, bucket, reason
):
    for name, text in changed.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(StorageError, match=reason) as caught:
        RemoteWork.at(f"s3://{bucket}/x").listed("generate")
    assert keys["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
