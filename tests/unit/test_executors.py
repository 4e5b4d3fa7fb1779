"""Whoever does the work, and whatever kills them, the results are the same and none is lost.

The Ray test is slow (some 20 s): it starts a cluster of its own, as a user's is there before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.engine.errors import ExecutorError, LyraError, StorageError
from lyra_data.engine.executors import open_executor, worker, worker_process
from lyra_data.engine.executors.base import Crew, Outcome
from lyra_data.engine.executors.machine_shares import variables_of_workers, visible_gpus
from lyra_data.engine.executors.node_shares import most_cpus_a_worker
from lyra_data.engine.executors.ray import Actors
from lyra_data.engine.executors.worker_process import how_it_ended
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import SilentProgress, silent
from lyra_data.generation import assembly
from lyra_data.generation.runner import Generation, generate_views
from lyra_data.generation.worker import GenerationSetup, SceneTask
from lyra_data.views.store import view_path, write_view
from stages.annotate import run_annotate
from tests.factories import make_view
from tests.generation_stubs import StubMaker, stub_params, write_clips
from tests.pipeline.project import Project, tiny_params, write_source
from tests.ray_process import running_cluster

JOBS = sorted(f"{scene}/{name}" for scene in "abc" for name in ("left", "up"))


def generate(root: Path, crew: Crew, maker: object = None, **options) -> Generation:
    """Three scenes, two views each, in `root`; half of them may fail, or `share`."""
    share = options.pop("share", 0.5)
    if not (root / "clips").exists():
        write_clips(root / "clips", "a", "b", "c")
    return generate_views(
        stub_params("left", "up", max_failed_fraction=share),
        seed=1,
        clips=root / "clips",
        views=root / "views",
        scratch=root / ".work",
        progress=options.pop("progress", silent),
        crew=crew,
        **({"maker": maker} if maker else {}),
        **options,
    )


class Counted(SilentProgress):
    """How far each bar went."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def start(self, description: str, total: int, unit: str) -> None:
        self.name = description
        self.done[description] = 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done[self.name] += count


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


@pytest.mark.usefixtures("warm_workers")
def test_each_process_loads_its_models_once_and_this_one_loads_none(tmp_path):
    maker = StubMaker(tmp_path / "log")
    generate(tmp_path, Crew(workers=2), maker)
    assert maker.jobs() == JOBS
    workers = [line.split()[1] for line in maker.loads()]
    assert 1 <= len(workers) <= 2 and len(set(workers)) == len(workers)
    assert str(os.getpid()) not in workers


@pytest.mark.usefixtures("warm_workers")
def test_while_one_worker_is_slow_the_other_does_all_that_is_left(tmp_path):
    slow = StubMaker(tmp_path / "log", slow={"a/left": len(JOBS)})
    assert generate(tmp_path / "slow", Crew(workers=2), slow).made == len(JOBS)
    begun = [line.removeprefix("job ") for line in slow.lines() if line.startswith("job ")]
    assert begun.index("a/left") < 2 and len(begun) == len(JOBS)
    generate(tmp_path / "usual", Crew(), StubMaker(tmp_path / "other log"))
    assert sha256_of_files(tmp_path / "slow" / "views") == sha256_of_files(
        tmp_path / "usual" / "views"
    )


@pytest.mark.usefixtures("warm_workers")
def test_a_job_whose_worker_is_killed_is_tried_once_more_when_all_others_are_done(tmp_path):
    maker, progress = StubMaker(tmp_path / "log", {"b/left": "die:1"}), Counted()
    done = generate(tmp_path, Crew(workers=1), maker, progress=progress)
    begun = [line.removeprefix("job ") for line in maker.lines() if line.startswith("job ")]
    assert begun == ["a/left", "a/up", "b/left", "b/up", "c/left", "c/up", "b/left"]
    assert len(maker.loads()) == 2
    assert (done.made, done.failures) == (6, [])
    assert progress.done == {"Generating": 6, "Assembling": 3}
    assert generate(tmp_path, Crew(), maker).failures == []


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
def test_a_job_that_kills_its_workers_is_recorded_with_attempts_and_given_up_after_three(tmp_path):
    killer = StubMaker(tmp_path / "log", {"b/left": "die"})
    first = generate(tmp_path, Crew(workers=1), killer)
    (failure,) = first.failures
    assert (failure.item, failure.kind, failure.attempts) == ("b/left", "WorkerDied", 2)
    assert failure.reason == "the worker was killed by signal 9, perhaps for lack of memory"
    assert (first.made, killer.jobs().count("b/left"), len(killer.jobs())) == (5, 2, 7)
    recorded = json.loads((tmp_path / "views" / "failures.json").read_text())
    assert [one["attempts"] for one in recorded] == [2]

    second = generate(tmp_path, Crew(workers=1), killer)
    assert [one.attempts for one in second.failures] == [3]
    assert (second.known_failures, killer.jobs().count("b/left")) == (0, 3)

    third = generate(tmp_path, Crew(workers=1), killer)
    assert third.failures == second.failures
    assert (third.known_failures, killer.jobs().count("b/left")) == (1, 3)

    last = generate(tmp_path, Crew(), StubMaker(tmp_path / "mended"), retry_failed=True)
    assert (last.made, last.reused, last.failures) == (1, 5, [])


@pytest.mark.usefixtures("warm_workers")
def test_the_next_run_tries_what_was_lost_without_being_told_to(tmp_path):
    generate(tmp_path, Crew(workers=1), StubMaker(tmp_path / "log", {"b/left": "die"}))
    again = StubMaker(tmp_path / "again")
    done = generate(tmp_path, Crew(), again)
    assert again.jobs() == ["b/left"]
    assert (done.made, done.reused, done.failures) == (1, 5, [])


@pytest.mark.usefixtures("warm_workers")
def test_a_gpu_that_failed_ends_its_worker_and_the_job_is_done_by_another(tmp_path):
    maker = StubMaker(tmp_path / "log", {"a/left": "gpu:1", "b/up": "gpu"})
    done = generate(tmp_path, Crew(workers=1), maker)
    assert len(maker.loads()) == 3, "one after a/left, one after b/up"
    assert done.made == 5
    (failure,) = done.failures
    assert (failure.item, failure.kind, failure.attempts) == ("b/up", "WorkerDied", 2)
    assert failure.reason.startswith("the GPU failed: CUDA error: an illegal memory access")
    assert len(failure.reason.splitlines()) == 1


def test_a_gpu_that_fails_under_the_run_s_own_process_stops_it_and_nothing_is_recorded(tmp_path):
    maker = StubMaker(tmp_path / "log", {"b/left": "gpu"})
    with pytest.raises(ExecutorError, match="the GPU failed: CUDA error") as caught:
        generate(tmp_path, Crew(), maker)
    assert caught.value.fix is not None and "--workers 1" in caught.value.fix
    again = generate(tmp_path, Crew(), StubMaker(tmp_path / "again"))
    assert (again.made, again.reused, again.failures) == (4, 2, [])


@pytest.mark.usefixtures("warm_workers")
@pytest.mark.parametrize("crew", [Crew(workers=1), Crew()])
def test_a_worker_with_nothing_but_faults_is_replaced(tmp_path, monkeypatch, crew):
    monkeypatch.setattr(worker, "MOST_IN_A_ROW", 2)
    monkeypatch.setattr(worker_process, "serve", work_ending_after_two_faults)
    faults = {"a/up": "bug", "b/left": "input", "b/up": "bug", "c/left": "bug"}
    maker = StubMaker(tmp_path / "log", faults)
    done = generate(tmp_path, crew, maker, share=0.9)
    assert (done.made, [one.item for one in done.failures]) == (2, list(faults))
    lines = [line.split()[0] for line in maker.lines()]
    assert lines == ["load", *["job"] * 4, "load", *["job"] * 2]


def work_ending_after_two_faults(*arguments: Any) -> None:
    """The life of a worker process, which imports all modules anew."""
    worker.MOST_IN_A_ROW = 2
    worker_process.serve(*arguments)


def test_what_breaks_a_gpu_is_told_from_what_it_refuses():
    assert worker.is_end_of_gpu(RuntimeError("CUDA error: device-side assert triggered"))
    assert worker.is_end_of_gpu(torch.AcceleratorError("uncorrectable ECC error encountered"))
    assert not worker.is_end_of_gpu(RuntimeError("shapes do not fit a CUDA error"))
    refusal = RuntimeError("CUDA error: out of memory")
    assert worker.stops_the_run(refusal)
    assert not worker.stops_the_run(RuntimeError("CUDA error: an illegal memory access"))


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
def test_a_scene_whose_worker_died_while_it_was_assembled_is_assembled_by_another(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(worker_process, "serve", work_dying_at_b)
    assert generate(tmp_path, Crew(workers=1)).failures == []
    assert (tmp_path / "views" / "b" / "half").exists() is False
    monkeypatch.undo()
    generate(tmp_path / "plain", Crew())
    assert sha256_of_files(tmp_path / "views") == sha256_of_files(tmp_path / "plain" / "views")


def work_dying_at_b(*arguments: Any) -> None:
    """The life of a worker process that is killed when half of scene b is there."""
    usual = assembly.assemble

    def assemble(files: Any, scene_id: str, target: Path, *rest: Any, **options: Any) -> Any:
        if scene_id == "b" and not (target / "b").exists():
            (target / "b").mkdir()
            (target / "b" / "half").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(files, scene_id, target, *rest, **options)

    assembly.assemble = assemble
    worker_process.serve(*arguments)


@pytest.mark.usefixtures("warm_workers")
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


@pytest.mark.slow
def test_a_worker_that_cannot_start_is_told_and_not_started_forever(tmp_path, capfd):
    setup = GenerationSetup(stub_params(), tmp_path, tmp_path, tmp_path, maker=NotThere())  # type: ignore[arg-type]
    with (
        pytest.raises(ExecutorError, match="a worker ended with exit code 1 before it was ready"),
        open_executor(setup, Crew(workers=2)) as executor,
    ):
        list(executor.run(iter([object()])))  # type: ignore[list-item]
    assert "a_package_that_is_not_there" in capfd.readouterr().err


def test_cores_are_shared_and_gpus_taken_in_turns():
    cores = len(os.sched_getaffinity(0))
    three = variables_of_workers(
        3, ["0", "GPU-b"], {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "x"}
    )
    assert [one["CUDA_VISIBLE_DEVICES"] for one in three] == ["0", "GPU-b", "0"]
    assert {one["OMP_NUM_THREADS"] for one in three} == {"1"}
    assert {one["NUMBA_NUM_THREADS"] for one in three} == {str(max(cores // 3, 1))}
    assert "CUDA_VISIBLE_DEVICES" not in variables_of_workers(1, [], {})[0]


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
    with running_cluster(CLUSTER) as (_, address):
        yield address


@pytest.mark.slow
def test_actors_give_the_bytes_of_one_worker_and_a_dead_one_loses_its_job_alone(
    tmp_path, one_worker, cluster
):
    crew = Crew(executor="ray", workers=2, ray_address=cluster, device="cpu")
    assert generate(tmp_path / "bytes", crew).made == 6
    assert sha256_of_files(tmp_path / "bytes" / "views") == one_worker

    maker = StubMaker(tmp_path / "log", {"b/left": "die", "c/up": "input"})
    done = generate(tmp_path / "dead", replace(crew, workers=1), maker)
    assert maker.jobs() == sorted([*JOBS, "b/left"])
    assert [failure.item for failure in done.failures] == ["b/left", "c/up"]
    assert [failure.kind for failure in done.failures] == ["WorkerDied", "InputError"]
    assert "the worker died" in done.failures[0].reason
    assert done.made == 4

    broken = StubMaker(tmp_path / "gpu.log", {"b/left": "gpu:1"})
    assert generate(tmp_path / "gpu", replace(crew, workers=1), broken).made == 6
    assert len(broken.loads()) == 2

    with pytest.raises(ExecutorError, match="the cluster has 2 CPUs for 3 workers"):
        generate(tmp_path / "dead", Crew(executor="ray", workers=3, ray_address=cluster))


@pytest.mark.slow
def test_scenes_are_annotated_by_actors_to_the_bytes_of_one_process(tmp_path, cluster):
    project = Project(tmp_path / "project")
    write_source(project.root / "inputs" / "other")
    sources = [
        {"name": "files", "folder": f"inputs/{name}", "scene_id": name}
        for name in ("wall", "other")
    ]
    project.change("annotate", "sources", to=sources)
    run_annotate(project.params_file)
    alone = sha256_of_files(project.root / "outputs")
    (project.root / ".work").rename(tmp_path / "elsewhere")
    done = run_annotate(
        project.params_file, executor="ray", workers=2, ray_address=cluster, device="cpu"
    )
    assert done.facts["made"] == 2
    assert sha256_of_files(project.root / "outputs") == alone


@pytest.mark.slow
def test_views_are_packaged_by_actors_to_the_bytes_of_one_process(tmp_path, cluster):
    for scene in "abc":
        for index in range(2):
            write_view(
                view_path(tmp_path / "views", scene, index, "right"), make_view(scene, index)
            )
    for name, crew in (
        ("alone", Crew()),
        ("by actors", Crew(executor="ray", workers=2, ray_address=cluster, device="cpu")),
    ):
        package_views(
            PackageParams.parse(tiny_params()["package"], where="package"),
            views=tmp_path / "views",
            dataset=tmp_path / name,
            scratch=tmp_path / f"scratch of {name}",
            progress=silent,
            crew=crew,
        )
    assert sha256_of_files(tmp_path / "by actors") == sha256_of_files(tmp_path / "alone")


class FakeRay:
    """A cluster of actors that answer what they are told to: an outcome, or an error of Ray's.

    Args:
        starts: what actors answer when asked whether they live; when these are used up, they do.
            "never" is no answer: the cluster has no room.
    """

    def __init__(self, answers: list[Any], starts: list[Any] | None = None) -> None:
        import ray.exceptions

        self.exceptions = ray.exceptions
        self.answers, self.starts, self.started, self.killed = answers, starts or [], 0, []
        self.begun: dict[int, Any] = {}

    def put(self, value: Any) -> Any:
        return value

    def remote(self, kind: Any) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._start))

    def _start(self, setup: Any, placement: Any) -> Any:
        self.started += 1
        actor = SimpleNamespace(number=self.started)
        actor.do = SimpleNamespace(remote=lambda task: (actor.number, task.number))
        actor.is_ready = SimpleNamespace(remote=lambda: (actor.number, "start"))
        self.begun[actor.number] = self.starts.pop(0) if self.starts else True
        return actor

    def wait(self, references: list[Any], num_returns: int) -> Any:
        never = [one for one in references if one[1] == "start" and self.begun[one[0]] == "never"]
        answering = [one for one in references if one not in never]
        assert answering, "this would wait for ever"
        return answering[:num_returns], [*answering[num_returns:], *never]

    def get(self, reference: Any) -> Any:
        number, what = reference
        answer = self.begun[number] if what == "start" else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor: Any) -> None:
        self.killed.append(actor.number)
        raise self.exceptions.ActorHandleNotFoundError("it is dead")


def run_fake(ray: FakeRay, num_tasks: int, num_workers: int = 1) -> list[Outcome]:
    actors = Actors(ray, None, Placement("cpu"), num_workers, num_cpus=1, num_gpus=0)  # type: ignore[arg-type]
    tasks = [SceneTask(n, f"scene{n}", {}, "", Path()) for n in range(num_tasks)]
    return [outcome for _, outcome in actors.run(tasks)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ActorDiedError", "the worker died: "),
        ("ActorUnavailableError", "the worker failed, ActorUnavailableError: "),
        ("OutOfMemoryError", "the worker failed, OutOfMemoryError: "),
        ("NodeDiedError", "the worker failed, NodeDiedError: "),
        ("WorkerCrashedError", "the worker failed, WorkerCrashedError: "),
        ("ObjectLostError", "the worker failed, ObjectLostError: "),
    ],
)
def test_whatever_error_ray_has_for_it_a_worker_that_is_gone_is_replaced(name, reason):
    kind = getattr(pytest.importorskip("ray").exceptions, name)
    arguments = {"OutOfMemoryError": ["m"], "NodeDiedError": ["n"]}
    arguments |= {"ActorUnavailableError": ["m", None], "ObjectLostError": ["r", None, ""]}
    ray = FakeRay([kind(*arguments.get(name, [])), Outcome("done")])
    first, second = run_fake(ray, 2)
    assert first.state == "lost" and first.failure is not None
    assert first.failure.kind == "WorkerDied" and first.failure.reason.startswith(reason)
    assert second.state == "done"
    assert (ray.started, ray.killed) == (2, [1])


def test_an_actor_that_says_it_ends_is_replaced():
    pytest.importorskip("ray")
    ray = FakeRay([Outcome("failed", worker_ends=True), Outcome("done")])
    assert [outcome.state for outcome in run_fake(ray, 2)] == ["failed", "done"]
    assert (ray.started, ray.killed) == (2, [1])


@pytest.mark.parametrize("name", ["ActorUnschedulableError", "RuntimeEnvSetupError"])
def test_an_actor_that_ray_cannot_start_stops_the_run(name):
    kind = getattr(pytest.importorskip("ray").exceptions, name)
    with pytest.raises(ExecutorError, match=r"a worker cannot start: .*no such node"):
        run_fake(FakeRay([], [kind("no such node")]), 1)


def test_actors_that_keep_dying_before_they_live_stop_the_run():
    kind = pytest.importorskip("ray").exceptions.ActorDiedError
    fake = FakeRay([Outcome("done")], [kind()] * 4)
    assert [outcome.state for outcome in run_fake(fake, 1)] == ["done"]
    with pytest.raises(ExecutorError, match="a worker cannot start"):
        run_fake(FakeRay([], [kind()] * 5), 1)


def test_an_actor_that_the_cluster_has_no_room_for_holds_no_task_back():
    pytest.importorskip("ray")
    fake = FakeRay([Outcome("done")] * 4, [True, "never"])
    assert [outcome.state for outcome in run_fake(fake, 4, num_workers=2)] == ["done"] * 4
    assert fake.started == 2


def test_a_worker_of_a_cluster_has_no_more_cpus_than_its_node():
    small, large = {"CPU": 2.0}, {"CPU": 8.0}
    assert most_cpus_a_worker([small, small], 1, 0) == 2
    assert most_cpus_a_worker([small, small], 3, 0) == 1
    assert most_cpus_a_worker([large, small], 2, 0) == 4
    assert most_cpus_a_worker([large, large, large], 4, 0) == 4
    assert most_cpus_a_worker([small, small], 5, 0) == 0
    assert most_cpus_a_worker([], 1, 0) == 0


def test_a_worker_with_a_gpu_has_the_cpus_of_a_node_that_has_one():
    head, node = {"CPU": 64.0}, {"CPU": 16.0, "GPU": 4.0}
    assert most_cpus_a_worker([head, node, node], 8, 1) == 4
    assert most_cpus_a_worker([head, {"CPU": 3.0, "GPU": 1.0}], 3, 1 / 3) == 1
    assert most_cpus_a_worker([head], 1, 1) == 0


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
