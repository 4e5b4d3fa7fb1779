"""Whoever does the work, and whatever kills them, the results are the same and none is lost.

The Ray test is slow (some 20 s): it starts a cluster of its own, as a user's is there before.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from lyra_data.errors import LyraError, StorageError
from lyra_data.generation.executors import open_executor
from lyra_data.generation.executors.base import Crew, ExecutorError
from lyra_data.generation.executors.local import environments, how_it_ended, visible_gpus
from lyra_data.generation.runner import Generation, generate_views
from lyra_data.generation.worker import WorkerSetup
from lyra_data.hashing import sha256_of_files
from lyra_data.placement import Placement
from lyra_data.progress import silent
from tests.generation_stubs import StubMaker, stub_params, write_clips

JOBS = sorted(f"{scene}/{name}" for scene in "abc" for name in ("left", "up"))


def generate(root: Path, crew: Crew, maker: object = None, **options) -> Generation:
    """Three scenes, two views each, in `root`; half of them may fail."""
    if not (root / "clips").exists():
        write_clips(root / "clips", "a", "b", "c")
    return generate_views(
        stub_params("left", "up", max_failed_fraction=0.5),
        seed=1,
        clips=root / "clips",
        views=root / "views",
        scratch=root / ".work",
        progress=silent,
        crew=crew,
        **({"maker": maker} if maker else {}),
        **options,
    )


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory) -> dict[str, str]:
    """Hashes of what one worker makes in this process, with the real maker."""
    root = tmp_path_factory.mktemp("one")
    generate(root, Crew())
    return sha256_of_files(root / "views")


# --- local ----------------------------------------------------------------------------------


def test_two_processes_give_the_bytes_of_one(tmp_path, one_worker):
    assert generate(tmp_path, Crew(workers=2)).made == 6
    assert sha256_of_files(tmp_path / "views") == one_worker


def test_each_process_loads_its_models_once_and_this_one_loads_none(tmp_path):
    maker = StubMaker(tmp_path / "log")
    generate(tmp_path, Crew(workers=2), maker)
    assert maker.jobs() == JOBS
    workers = [line.split()[1] for line in maker.loads()]
    assert 1 <= len(workers) <= 2 and len(set(workers)) == len(workers)
    assert str(os.getpid()) not in workers


def test_a_killed_worker_loses_the_job_it_was_doing_and_no_other(tmp_path):
    killed = StubMaker(tmp_path / "log", {"b/left": "die"})
    first = generate(tmp_path, Crew(workers=1), killed)
    assert killed.jobs() == JOBS and len(killed.loads()) == 2
    (failure,) = first.failures
    assert (failure.item, failure.kind) == ("b/left", "WorkerDied")
    assert failure.reason == "the worker was killed by signal 9, perhaps for lack of memory"
    assert first.made == 5

    again = StubMaker(tmp_path / "again")
    assert generate(tmp_path, Crew(), again).failures == [failure]
    assert again.jobs() == []
    last = generate(tmp_path, Crew(), again, retry_failed=True)
    assert again.jobs() == ["b/left"]
    assert (last.made, last.reused, last.failures) == (1, 5, [])


def test_an_error_that_stops_the_run_reaches_it_as_it_was_raised(tmp_path):
    maker = StubMaker(tmp_path / "log", {"c/up": "space"})
    with pytest.raises(StorageError) as caught:
        generate(tmp_path, Crew(workers=1), maker)
    assert caught.value.fix == "free space"
    assert not list((tmp_path / ".work").rglob(".partial-*"))
    assert generate(tmp_path, Crew(), StubMaker(tmp_path / "again")).reused == 5


class NotThere:
    """Known to this process alone."""

    def __reduce__(self):
        return (__import__, ("a_package_that_is_not_there",))


def test_a_worker_that_cannot_start_is_told_and_not_started_forever(tmp_path, capfd):
    setup = WorkerSetup(stub_params(), Placement("cpu"), tmp_path, tmp_path, maker=NotThere())  # type: ignore[arg-type]
    with (
        pytest.raises(ExecutorError, match="a worker ended with exit code 1 before it was ready"),
        open_executor(setup, Crew(workers=2)) as executor,
    ):
        list(executor.run(iter([object()])))  # type: ignore[list-item]
    assert "a_package_that_is_not_there" in capfd.readouterr().err


def test_cores_are_shared_and_gpus_taken_in_turns():
    cores = len(os.sched_getaffinity(0))
    three = environments(3, ["0", "GPU-b"], {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "x"})
    assert [one["CUDA_VISIBLE_DEVICES"] for one in three] == ["0", "GPU-b", "0"]
    assert {one["OMP_NUM_THREADS"] for one in three} == {"1"}
    assert {one["NUMBA_NUM_THREADS"] for one in three} == {str(max(cores // 3, 1))}
    assert "CUDA_VISIBLE_DEVICES" not in environments(1, [], {})[0]


def test_gpus_that_the_user_chose_are_the_only_ones(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert visible_gpus() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_the_end_of_a_process_is_told_in_words():
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-11) == "was killed by signal 11"
    assert "lack of memory" in how_it_ended(-9)


@pytest.mark.parametrize(
    ("crew", "what", "fix"),
    [
        (Crew(executor="slurm"), "unknown executor 'slurm'", "known: local, ray"),
        (Crew(workers=0), "0 workers do no work", "1 or more"),
        (Crew(device="tpu9"), "'tpu9' is no device of this machine", "take one of cpu"),
        (Crew(device="cuda:99"), "'cuda:99' is no device of this machine", "take one of cpu"),
    ],
)
def test_a_crew_that_cannot_be_is_refused(tmp_path, crew, what, fix):
    with pytest.raises(ExecutorError) as caught:
        generate(tmp_path, crew)
    assert what in caught.value.what
    assert caught.value.fix is not None and fix in caught.value.fix
    assert isinstance(caught.value, LyraError) and caught.value.where


# --- ray ------------------------------------------------------------------------------------

CLUSTER = """
import sys
import ray
ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False,
         object_store_memory=80 * 2**20)
print("address", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster that was there before; it ends with the test."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")  # a token of this cluster's own, known to both sides
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        pytest.importorskip("ray")  # reads the above when it is first imported
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", CLUSTER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        assert process.stdin is not None and process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield next(line.split()[1] for line in lines if line.startswith("address "))
        process.stdin.close()


def test_actors_give_the_bytes_of_one_worker_and_a_dead_one_loses_its_job_alone(
    tmp_path, one_worker, cluster
):
    crew = Crew(executor="ray", workers=2, ray_address=cluster, device="cpu")
    assert generate(tmp_path / "bytes", crew).made == 6
    assert sha256_of_files(tmp_path / "bytes" / "views") == one_worker

    maker = StubMaker(tmp_path / "log", {"b/left": "die", "c/up": "input"})
    done = generate(tmp_path / "dead", replace(crew, workers=1), maker)
    assert maker.jobs() == JOBS
    assert [failure.item for failure in done.failures] == ["b/left", "c/up"]
    assert [failure.kind for failure in done.failures] == ["WorkerDied", "InputError"]
    assert "the worker died" in done.failures[0].reason
    assert done.made == 4

    with pytest.raises(ExecutorError, match="the cluster has 2 CPUs for 3 workers"):
        generate(tmp_path / "dead", Crew(executor="ray", workers=3, ray_address=cluster))


def test_a_cluster_that_is_not_there_is_told_with_its_address(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(ExecutorError, match=r"no Ray cluster at '127\.0\.0\.1:1'") as caught:
        generate(tmp_path, Crew(executor="ray", ray_address="127.0.0.1:1"))
    assert caught.value.fix is not None and "ray start --head" in caught.value.fix


def test_without_ray_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExecutorError) as caught:
        generate(tmp_path, Crew(executor="ray"))
    assert caught.value.fix == "pip install 'lyra-data[ray]'"
