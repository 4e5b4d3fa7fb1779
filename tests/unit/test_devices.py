"""Where training puts its tensors, told without a GPU: the default device is made unusable."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch

from lyra_data.engine.errors import ExecutorError
from lyra_data.engine.placement import Placement
from lyra_model import rendering
from lyra_model.evaluation import worker
from lyra_model.training.processes import Processes
from tests.unit.test_processes import make_trainer
from tests.unit.test_training import make_dataset, make_params


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_makes_no_tensor_without_naming_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dynamic: bool, precision: str
) -> None:
    """Within `torch.device("meta")`, what is made without a device mixes with nothing: an operation
    with it fails, as one between CPU and GPU would."""
    make_dataset(tmp_path / "data")
    # As on a GPU, nothing of numba's.
    in_torch = rendering.renderer("torch", "cpu")
    monkeypatch.setattr(rendering, "_best_for", lambda _: in_torch)
    params = make_params(precision=precision, min_views=1, max_views=1, gradient_checkpointing=True)
    decoder = params.decoder.model_copy(update={"dynamic": dynamic})
    params = params.model_copy(update={"decoder": decoder})
    trainer = make_trainer(tmp_path, params, "demo")
    trainer.step(0)  # reads the scene; the optimiser makes its counters, which stay on the CPU
    with torch.device("meta"):
        row = trainer.step(1)
    assert 0 < row["loss"] < 10


def test_a_forgotten_device_would_be_noticed(tmp_path: Path) -> None:
    """The test above can fail."""
    with torch.device("meta"), pytest.raises((RuntimeError, NotImplementedError)):
        float((torch.ones(3) + torch.ones(3, device="cpu")).sum())


def test_what_was_read_waits_in_the_cpu_s_memory_and_a_batch_lies_on_the_device(
    tmp_path: Path,
) -> None:
    """The meta device stands for a GPU: a tensor that was moved there is known by it."""
    make_dataset(tmp_path / "data")
    trainer = make_trainer(tmp_path)
    reader = trainer.reader
    reader.device = torch.device("meta")
    data = trainer.steps.take(0)
    batch = reader.batch(data)
    for target, device in ((data.targets, "cpu"), (batch.targets, "meta")):
        tensors = [target.rgb, target.depth, target.times, target.cameras.camera_to_world]
        assert {tensor.device.type for tensor in tensors} == {device}
    for inputs, device in ((data.inputs.prepared(reader.codec), "cpu"), (batch.inputs, "meta")):
        tensors = [value for value in vars(inputs).values() if isinstance(value, torch.Tensor)]
        assert {tensor.device.type for tensor in tensors} == {device}


def test_one_gpu_for_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ExecutorError, match="--device cuda"):
        Processes("cuda:1")


def test_evaluation_makes_its_gpu_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels that are launched without a device run there, and would read another GPU's memory."""
    taken: list[torch.device] = []

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(worker, "codec_of", stop)
    for device in ("cuda:1", "cpu"):
        setup = worker.EvaluationSetup(
            *(MagicMock() for _ in range(5)), MagicMock(scratch=tmp_path)
        )
        with pytest.raises(StoppedError):
            setup.build(Placement(device)).do(worker.SceneTask(0, "scene"))
    assert taken == [torch.device("cuda:1")]
