"""Steps that worker processes read are those that a thread reads, and their faults are told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import CorruptDataError, ExecutorError, ParamsError
from lyra_model.batches import worker_steps
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.shared_values import LEAST_SHARED, SharedValue
from lyra_model.batches.step_reader import DrawReader, StepData
from lyra_model.batches.step_source import StepSetup, StepSource
from lyra_model.batches.worker_steps import WorkerSteps
from tests.unit.test_training import (
    assert_same_weights,
    make_dataset,
    make_params,
    shape_of,
    train,
)
from tests.warm_processes import warm_context

SCENES = ("a", "b", "c")
NUM_STEPS = 7


def setup_of(
    dataset: SceneDataset, *, rank: int = 0, num_processes: int = 1, **decoder
) -> StepSetup:
    params = make_params(steps=NUM_STEPS)
    params = params.model_copy(
        update={
            "scene_order": "epochs",
            "decoder": params.decoder.model_copy(update=decoder),
        }
    )
    return StepSetup(params, "demo", 42, dataset, shape_of(), rank, num_processes)


def source_of(setup: StepSetup) -> StepSource:
    return setup.source(DrawReader(setup.dataset, setup.shape, cache=PartCache(1 << 30)))


def begin_in_test(parent: int, number: int) -> None:
    """A worker of a test is a fork of a server of processes, which is not its parent."""


@pytest.fixture
def warm_loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_steps, "worker_context", warm_context)
    monkeypatch.setattr(worker_steps, "begin_worker", begin_in_test)


def reading(setup: StepSetup, num_workers: int) -> WorkerSteps:
    return WorkerSteps(setup, num_workers=num_workers, cache_bytes=1 << 30)


def assert_same_data(one: StepData, other: StepData) -> None:
    assert one.draw == other.draw and one.reads_all == other.reads_all
    for name in ("rgb", "depth", "times"):
        assert torch.equal(getattr(one.targets, name), getattr(other.targets, name)), name
    assert torch.equal(one.targets.cameras.camera_to_world, other.targets.cameras.camera_to_world)
    latents = [[view._latents for view in data.inputs._latents] for data in (one, other)]
    assert len(latents[0]) == len(latents[1]) > 0
    for mine, others in zip(*latents, strict=True):
        assert torch.equal(mine, others)


@pytest.mark.usefixtures("warm_loaders")
@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_read_the_steps_of_a_thread_in_their_order_from_any_step_on(
    tmp_path: Path, num_workers: int
) -> None:
    setup = setup_of(make_dataset(tmp_path / "data", scenes=SCENES))
    source, steps = source_of(setup), reading(setup, num_workers)
    for step in (*range(2, NUM_STEPS), 0, 1):  # as a run that goes on; then as another one
        assert_same_data(steps.read(step), source.read(step))
    steps.close()


@pytest.mark.usefixtures("warm_loaders")
def test_a_workers_error_is_the_one_of_its_step_and_the_steps_before_it_are_given(
    tmp_path: Path,
) -> None:
    setup = setup_of(make_dataset(tmp_path / "data", scenes=SCENES))
    source = source_of(setup)
    draws = [source.draws.draw(step).scene_id for step in range(NUM_STEPS)]
    damaged = draws[2]
    blob = setup.dataset[damaged].stored.blobs("rgb")[0, "frames"]
    path = Path(setup.dataset.uri) / blob.file
    content = bytearray(path.read_bytes())
    for view in range(2):
        blob = setup.dataset[damaged].stored.blobs("rgb")[view, "frames"]
        for end in blob.table.ends:
            content[blob.offset + end - 2] ^= 255
    path.write_bytes(content)
    steps = reading(setup, 2)
    assert [steps.read(step).draw.scene_id for step in range(2)] == draws[:2]
    with pytest.raises(CorruptDataError) as caught:
        steps.read(2)
    steps.close()
    with pytest.raises(CorruptDataError) as expected:
        source_of(setup).read(2)
    assert str(caught.value) == str(expected.value) and caught.value.where == str(path)


@pytest.mark.usefixtures("warm_loaders")
def test_a_scene_out_of_range_is_refused_where_a_worker_read_it(tmp_path: Path) -> None:
    setup = setup_of(make_dataset(tmp_path / "data"), distance_near=1e-6, distance_far=1e-5)
    steps = reading(setup, 1)
    with pytest.raises(ParamsError, match="lies outside") as caught:
        steps.read(0)
    steps.close()
    with pytest.raises(ParamsError) as expected:
        source_of(setup).read(0)
    assert str(caught.value) == str(expected.value)


@pytest.mark.slow
def test_a_killed_worker_is_told(tmp_path: Path) -> None:
    setup = setup_of(make_dataset(tmp_path / "data", scenes=SCENES))
    steps = reading(setup, 1)
    with ThreadPoolExecutor(1) as thread:  # as training does
        thread.submit(steps.read, 0).result()
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, signal.SIGKILL)
        with pytest.raises(ExecutorError, match="ended before its time") as caught:
            for step in range(1, NUM_STEPS):
                thread.submit(steps.read, step).result()
        assert caught.value.where == "--loader-workers"
        thread.submit(steps.close).result()


@pytest.mark.slow
def test_workers_end_with_the_process_that_trains(tmp_path: Path) -> None:
    code = "from tests.unit.test_worker_steps import die_with_workers; die_with_workers()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    workers = [int(word) for word in (tmp_path / "workers").read_text().split()]
    assert len(workers) == 2
    until = time.monotonic() + 20
    while any(_is_alive(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_is_alive(worker) for worker in workers)


def die_with_workers() -> None:
    folder = sys.argv[1]
    steps = reading(setup_of(make_dataset(Path(folder, "data"), scenes=SCENES)), 2)
    steps.read(0)
    workers = [process.pid for process in multiprocessing.active_children()]
    Path(folder, "workers").write_text(" ".join(map(str, workers)))
    os.kill(os.getpid(), signal.SIGKILL)


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_fault_of_the_program_comes_with_the_workers_traceback(tmp_path: Path) -> None:
    steps = worker_steps._StepsOfWorker(setup_of(make_dataset(tmp_path / "data")), 1, 0)
    steps._setup = None  # type: ignore[assignment]
    error = steps[4]
    assert type(error) is RuntimeError
    assert "step 5" in str(error) and "AttributeError" in str(error)


def test_want_of_shared_memory_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_tensor: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>\nmore")

    monkeypatch.setattr(torch.Tensor, "share_memory_", refuse)
    steps = worker_steps._StepsOfWorker(setup_of(make_dataset(tmp_path / "data")), 1, 0)
    error = steps[0]
    assert isinstance(error, ExecutorError) and "--shm-size" in str(error)
    assert "more" not in str(error.what)


def test_a_shared_value_is_the_value_in_one_piece_of_memory() -> None:
    large = torch.randn(3, LEAST_SHARED)
    value = {
        "large": large,
        "half": large[:, ::2].half(),
        "levels": torch.arange(256, dtype=torch.uint8),
        "known": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "words": ("a", None, 1.5),
    }
    made = SharedValue.of(value).value()
    assert made["words"] == value["words"]
    for name, tensor in value.items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(made[name], tensor) and made[name].dtype == tensor.dtype
    pieces = {made[name].untyped_storage().data_ptr() // 2**22 for name in ("large", "half")}
    assert made["large"].untyped_storage().nbytes() >= made["large"].nbytes
    assert len(pieces) <= 2
    small = made["levels"]
    assert small.untyped_storage().nbytes() == small.nbytes  # it does not keep the piece
    made["large"].zero_()  # and may be written, as any other


def test_processes_that_train_together_read_different_scenes_of_an_epoch(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", scenes=tuple("abcdef"))
    sources = [source_of(setup_of(dataset, rank=rank, num_processes=3)) for rank in range(3)]
    for epoch in range(2):
        read = [
            source.read(2 * epoch + step).draw.scene_id for step in range(2) for source in sources
        ]
        assert sorted(read) == list("abcdef")


@pytest.mark.usefixtures("warm_loaders")
def test_a_phase_ends_with_the_same_weights_whoever_reads_its_steps(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", scenes=SCENES)
    params = make_params().model_copy(update={"scene_order": "epochs"})
    whole, shared = (
        train(params, ["small"], dataset, tmp_path / str(number), loader_workers=number)["small"]
        for number in (0, 2)
    )
    assert_same_weights(whole, shared)
    assert whole.history == shared.history
