"""`accelerate launch` really starts several CPU processes, with DDP and with FSDP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lyra_data.engine.errors import ExecutorError
from lyra_model.phases.checkpoints import load_checkpoint
from lyra_model.training.processes import Processes
from tests.goldens import REPOSITORY
from tests.unit.test_processes import free_port
from tests.unit.test_training import make_dataset

LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1"]
LAUNCH += ["--num_processes", "2", "--mixed_precision", "no", "--dynamo_backend", "no"]
CONFIGURATIONS = {"ddp": ["--multi_gpu"], "fsdp": ["--use_fsdp", "--fsdp_version", "2"]}


def launch(folder: Path, *configuration: str) -> list[dict[str, dict[str, torch.Tensor]]]:
    """The weights that each of two processes ends with."""
    folder.mkdir()
    splits = {"a": "train", "b": "train", "c": "validation"}
    make_dataset(folder / "data", scenes=tuple(splits), splits=splits)
    command = [*LAUNCH, *configuration, "--main_process_port", str(free_port())]
    done = subprocess.run(
        [*command, "-m", "tests.trains_together", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = sorted(folder.glob("weights_*.pt"))
    assert [file.name for file in files] == ["weights_0.pt", "weights_1.pt"]
    return [torch.load(file, weights_only=True) for file in files]


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    folder = tmp_path_factory.mktemp("launched")
    made = {name: launch(folder / name, *given) for name, given in CONFIGURATIONS.items()}
    made["folder"] = [folder]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CONFIGURATIONS))
def test_two_processes_end_with_the_same_weights(launched: dict[str, list], kind: str) -> None:
    first, second = launched[kind]
    assert_same(first["whole"], second["whole"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CONFIGURATIONS))
def test_two_processes_go_on_from_a_state_to_the_bit(launched: dict[str, list], kind: str) -> None:
    first, second = launched[kind]
    assert_same(first["whole"], first["resumed"])
    assert_same(second["whole"], second["resumed"])


@pytest.mark.slow
def test_fsdp_splits_the_weights_and_ddp_does_not(launched: dict[str, list]) -> None:
    held = {kind: [one["share"]["held"] for one in launched[kind]] for kind in CONFIGURATIONS}
    assert all(bool((share == 1).all()) for share in held["ddp"])
    assert all(bool((share < 0.6).all()) for share in held["fsdp"])
    assert len(held["fsdp"][0]) == 4, "three steps, and the third again"


@pytest.mark.slow
def test_split_weights_are_trained_as_whole_ones(launched: dict[str, list]) -> None:
    """But for the order of sums: three steps of AdamW at a rate of up to 4e-4."""
    ddp, fsdp = (launched[kind][0]["whole"] for kind in CONFIGURATIONS)
    assert ddp.keys() == fsdp.keys()
    for name, tensor in ddp.items():
        assert tensor.shape == fsdp[name].shape
        torch.testing.assert_close(tensor, fsdp[name], rtol=1e-3, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CONFIGURATIONS))
def test_the_checkpoint_has_whole_weights_and_names_the_processes(
    launched: dict[str, list], kind: str
) -> None:
    run = launched["folder"][0] / kind / "run"
    checkpoint = load_checkpoint(run / "models" / "small")
    assert checkpoint.config["num_processes"] == 2
    assert_same(checkpoint.weights, launched[kind][0]["whole"])
    (log,) = run.glob("scratch/train/*/log.jsonl")
    assert sum('"event": "validation"' in line for line in log.read_text().splitlines()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CONFIGURATIONS))
def test_of_several_processes_one_draws(launched: dict[str, list], kind: str) -> None:
    """All of them have come to the end: none waited for another."""
    run = launched["folder"][0] / kind / "run"
    grids = sorted(run.glob("scratch/train/*/samples/*/*/grid.png"))
    assert [grid.parts[-3:-1] for grid in grids] == [
        ("step_00000002", "c"),
        ("step_00000003", "c"),
    ]
    assert not list(run.rglob(".partial-*"))


def test_fsdp_of_version_1_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes("cpu")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ExecutorError, match="fsdp_version: 2"):
        _ = processes.shards
    monkeypatch.setenv("FSDP_VERSION", "2")
    assert not Processes("cpu").shards, "one process has nothing to share"
