from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.losses.base import LossValue
from lyra_model.training.log import TrainingLog
from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.states import Upkeep
from tests.unit.test_training import KilledError, make_dataset, make_params, train


def log_of(folder: Path, phase_steps: int | None = None) -> TrainingLog:
    """The log of the phase of so many steps, or of the only one."""
    logs = [TrainingLog(path) for path in (folder / "scratch" / "train").glob("*/log.jsonl")]
    chosen = [log for log in logs if phase_steps in (None, len(log.rows()))]
    assert len(chosen) == 1
    return chosen[0]


def test_a_line_that_a_kill_cut_is_dropped_and_the_others_stay(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.go_on_after(0)
    for step in range(1, 4):
        log.append({"event": "step", "step": step, "loss": 0.1 * step})
    log.path.write_text(log.path.read_text()[:-9])
    assert [row["step"] for row in log.rows()] == [1, 2]
    log.go_on_after(2)
    log.append({"event": "step", "step": 3})
    assert [row["step"] for row in log.rows()] == [1, 2, 3]


def test_steps_that_are_taken_again_leave_one_line(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    for step in range(1, 6):
        log.append({"event": "step", "step": step, "loss": 1.0})
    log.go_on_after(3)
    log.append({"event": "step", "step": 4, "loss": 2.0})
    assert [(row["step"], row["loss"]) for row in log.rows()] == [(1, 1), (2, 1), (3, 1), (4, 2)]


def test_every_step_is_logged_with_what_days_of_training_are_watched_by(tmp_path):
    history = train(make_params(), ["small"], make_dataset(tmp_path / "data"), tmp_path)["small"]
    rows = log_of(tmp_path).rows()
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row["loss"] for row in rows] == [row["loss"] for row in history.history]
    for row in rows:
        assert row["scene_id"] == "a" and row["event"] == "step"
        names = ("image", "depth", "psnr", "gradient_norm", "seconds", "frames_per_second")
        for name in (*names, "seconds_waited"):
            assert math.isfinite(row[name]) and row[name] > 0, name


def test_a_resumed_run_continues_the_log_without_a_step_twice(tmp_path, monkeypatch):
    dataset, params = make_dataset(tmp_path / "data"), make_params()
    step = PhaseTrainer.step

    def step_until_the_fourth(self, index):
        if self.name == "demo" and index == 3:
            raise KilledError
        return step(self, index)

    monkeypatch.setattr(PhaseTrainer, "step", step_until_the_fourth)
    with pytest.raises(KilledError):
        train(params, ["small", "demo"], dataset, tmp_path)
    monkeypatch.setattr(PhaseTrainer, "step", step)
    resumed = train(params, ["demo"], dataset, tmp_path)["demo"]
    rows = log_of(tmp_path, phase_steps=5).rows()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["loss"] for row in rows] == [row["loss"] for row in resumed.history]


def stop_of(folder: Path, error: ParamsError) -> dict:
    (found,) = (folder / "scratch" / "train").glob("*/stopped_at_step_*.json")
    assert str(found) in error.what
    return json.loads(found.read_text())


def poison_gaussians(patch: pytest.MonkeyPatch) -> None:
    forward = GaussianDecoder.forward

    def poisoned(self, inputs, *, prune_ratio):
        (gaussians,) = forward(self, inputs, prune_ratio=prune_ratio)
        gaussians.opacities.data[0] = math.nan
        return [gaussians]

    patch.setattr(GaussianDecoder, "forward", poisoned)


def poison_loss(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "lyra_model.training.view_loss.total_loss",
        lambda params, inputs: LossValue(total=inputs.render.rgb.sum() * math.inf, terms={}),
    )


def poison_gradient(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(math.nan))


@pytest.mark.parametrize(
    ("poison", "what"),
    [(poison_gaussians, "Gaussian"), (poison_loss, "the loss"), (poison_gradient, "the gradient")],
)
def test_a_number_that_is_none_stops_training_with_its_scene_and_frames_saved(
    tmp_path, monkeypatch, poison, what
):
    dataset = make_dataset(tmp_path / "data")
    step = PhaseTrainer.step

    def poisoned_in_the_third(self, index):
        if index == 2:
            poison(monkeypatch)
        return step(self, index)

    monkeypatch.setattr(PhaseTrainer, "step", poisoned_in_the_third)
    with pytest.raises(ParamsError, match=f"{what} is no finite number in step 3") as caught:
        train(
            make_params(),
            ["small"],
            dataset,
            tmp_path,
            upkeep=Upkeep(checkpoint_steps=2, validation_steps=0),
        )
    saved = stop_of(tmp_path, caught.value)
    assert what in saved["what"]
    assert (saved["step"], saved["scene_id"]) == (3, "a")
    assert len(saved["target_frames"]) == 2
    assert [row["step"] for row in saved["last_log_rows"]] == [1, 2]


def test_a_line_that_is_no_text_is_left_out_and_training_goes_on(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.go_on_after(0)
    for step in range(1, 4):
        log.append({"event": "step", "step": step})
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(lines[0] + b'{"step": \xff\xfe}\n{"step": "2"}\n[]\n' + lines[2])
    assert [row["step"] for row in log.rows()] == [1, 3]
    log.go_on_after(3)
    assert [row["step"] for row in log.rows()] == [1, 3]
