"""Pulls that are killed, lack disk or meet faults at random end whole, with few bytes twice."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub.utils import get_session

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from lyra_data.hub import ranges
from lyra_data.hub.errors import DownloadError
from lyra_data.sharing.pulling import pulled_scenes
from tests.children import wait_until
from tests.dataset_scenes import exact_scene
from tests.hub.pulls import KEY, SCENES, Pull, files_in
from tests.hub.server import TOKEN, HubState, client_environment, client_pointed_at


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "dataset"
    views = [view for name in "abcd" for view in exact_scene(name)]
    write_dataset(views, folder, splits=None, scenes_per_shard=2, provenance={})
    return folder


@pytest.fixture
def pull(hub_state: HubState, hub: str, dataset: Path, tmp_path: Path, monkeypatch) -> Pull:
    monkeypatch.setattr(ranges, "FIRST_WAIT_SECONDS", 0.01)
    hub_state.large_from = 1000
    hub_state.add(SCENES, files_in(dataset), kind="dataset")
    hub_state.records.clear()
    return Pull(hub_state, hub, tmp_path)


def started(pull: Pull, *arguments: str, limit: Callable[[], None] | None = None):
    """The command in a process of its own, which can be killed."""
    environment = client_environment(pull.endpoint, pull.folder / "home")
    command = [sys.executable, "-m", "stages.cli", "pull", SCENES, "--yes", *arguments]
    return subprocess.Popen(
        command,
        cwd=pull.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--scenes", "3")])
def test_a_pull_that_is_killed_again_and_again_fetches_little_twice(pull: Pull, options) -> None:
    pull.state.faults.add(
        "slow", r"GET .*data/", times=None, seconds=0.4
    )  # longer than a busy machine takes to kill
    for _ in range(3):
        child = started(pull, "--output", "got", *options)
        served = pull.bytes_of("data/")
        wait_until(lambda: pull.bytes_of("data/") > served + 400_000)  # noqa: B023
        time.sleep(0.05)  # what was asked for arrives, or not
        child.kill()
        child.communicate()
        assert not (pull.folder / "got" / "meta" / "manifest.json").exists()
    child = started(pull, "--output", "got", *options)
    _, text = child.communicate(timeout=120)
    assert child.returncode == 0, text
    assert not check_dataset(pull.folder / "got", sample=None, progress=silent).findings
    asked = Counter((one.name, one.first) for one in pull.state.records.served)
    twice = [key for key, times in asked.items() if times > 1 and "data/rgb" in key[0]]
    large = [key for key in twice if key[1] < 1_100_000]  # no footers
    assert len(large) <= 3 * pulled_scenes.AT_ONCE
    assert not (pull.folder / ".work").exists()


def test_a_long_range_goes_on_where_a_killed_process_left_it(pull: Pull, tmp_path: Path) -> None:
    name = "data/rgb/train-00000-of-00002.parquet"
    data = pull.state.files(KEY)[name]
    with client_pointed_at(pull.endpoint, pull.folder / "home"):
        first, second = (ranges.HubRanges(SCENES, "dataset", "main") for _ in range(2))
        first.unfinished = second.unfinished = tmp_path / "kept"
        pull.state.faults.add("cut_answer", r"GET .*data/rgb", times=None, num_bytes=200_000)
        pull.state.faults.add("status", r"GET .*data/rgb", times=None, after=1)
        with pytest.raises(DownloadError):
            first.read(name, 0, len(data))
        assert [path.stat().st_size for path in (tmp_path / "kept").iterdir()] == [200_000]
        pull.state.faults.rules.clear()
        assert second.read(name, 0, len(data)) == data
        assert second.num_bytes == len(data) - 200_000
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--scenes", "3")])
def test_a_disk_that_refuses_is_told_and_the_pull_goes_on_later(pull: Pull, options) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    child = started(pull, "--output", "got", *options, limit=limit)
    _, text = child.communicate(timeout=120)
    assert child.returncode == 2, text
    assert "cannot write" in text and "Traceback" not in text
    assert pull.into("got", SCENES, *options)[0] == 0


def test_faults_at_random_change_nothing(pull: Pull, dataset: Path) -> None:
    pull.state.faults.add("status", r"GET .*data/", times=None, chance=0.2, retry_after=0)
    pull.state.faults.add("cut_answer", r"GET .*data/", times=None, chance=0.2)
    for _ in range(6):
        code, text = pull.into("got", SCENES, "--scenes", "4")
        if code == 0:
            break
        assert code == 2 and "same command again" in text
    assert code == 0, text
    for modality in ("rgb", "latent", "depth"):
        one, other = (
            sorted(folder.glob(f"data/{modality}/*")) for folder in (pull.folder / "got", dataset)
        )
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


@pytest.mark.parametrize("xet", [False, True])
def test_what_was_uploaded_as_xorbs_or_by_lfs_is_pulled(pull: Pull, dataset: Path, xet) -> None:
    from huggingface_hub import CommitOperationAdd, HfApi

    with client_pointed_at(pull.endpoint, pull.folder / "up", token=TOKEN, xet=xet):
        HfApi().create_repo("lab/sent", repo_type="dataset")
        operations = [CommitOperationAdd(name, data) for name, data in files_in(dataset).items()]
        HfApi().create_commit("lab/sent", operations, commit_message="scenes", repo_type="dataset")
    assert pull.into("whole", "lab/sent")[0] == 0
    assert pull.into("part", "lab/sent", "--scenes", "1")[0] == 0
    for name in ("whole", "part"):
        assert not check_dataset(pull.folder / name, sample=None, progress=silent).findings


def test_two_pulls_into_one_folder_do_not_mix(pull: Pull, monkeypatch) -> None:
    from lyra_data.engine.hashing import content_key
    from lyra_data.engine.locks import held_lock

    scratch = pull.folder / ".work" / f"pull-{content_key(['got'])[:12]}"
    with held_lock(scratch, "pull"):
        code, text = pull.into("got", SCENES, "--scenes", "1")
    assert code == 2 and "pull is being done here already" in text
    assert pull.into("got", SCENES, "--scenes", "1")[0] == 0
    assert KEY in pull.state.repositories


def test_a_server_without_ranges_is_read_from_the_beginning(pull: Pull, monkeypatch) -> None:
    data = pull.state.files(KEY)["meta/index/rgb.parquet"]
    with client_pointed_at(pull.endpoint, pull.folder / "home"):
        read = ranges.HubRanges(SCENES, "dataset", "main")
        stream = get_session().stream

        def without_range(method: str, url: str, headers: dict[str, str], **options):
            del headers["Range"]
            return stream(method, url, headers=headers, **options)

        monkeypatch.setattr(get_session(), "stream", without_range)
        assert read.read("meta/index/rgb.parquet", 1000, 5000) == data[1000:5000]
        monkeypatch.setattr(ranges, "MOST_SKIPPED", 999)
        with pytest.raises(DownloadError, match="the answer is a whole file"):
            read.read("meta/index/rgb.parquet", 1000, 5000)
