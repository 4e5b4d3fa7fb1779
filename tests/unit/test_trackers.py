"""TensorBoard and trackio show what the log has, where they are installed and asked for."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from lyra_data.engine.errors import InputError
from lyra_model.training import trackers
from lyra_model.training.phase_trainer import PhaseTrainer
from lyra_model.training.states import Upkeep
from lyra_model.training.trackers import Trackers, require_trackers
from tests.unit.test_training import assert_same_weights, make_dataset, make_params, train


class Told:
    """Stands for TensorBoard or trackio: keeps what it is told."""

    name = "told"
    made: ClassVar[list[Told]] = []

    def __init__(self, *given: object, **options: object) -> None:
        self.given, self.options = given, options
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.finished = False
        Told.made.append(self)

    def start(self) -> None:
        pass

    def log(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, values))

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    monkeypatch.setattr(Told, "made", [])
    for name in ("TensorBoardTracker", "TrackioTracker"):
        monkeypatch.setattr(trackers, name, Told)
    for name in ("is_tensorboard_available", "is_trackio_available"):
        monkeypatch.setattr(trackers, name, lambda: True)
    return Told.made


def test_trackers_are_told_every_step_and_validation_of_the_log(tmp_path, told):
    splits = {"a": "train", "b": "validation"}
    dataset = make_dataset(tmp_path / "data", scenes=("a", "b"), splits=splits)
    upkeep = Upkeep(validation_steps=9)
    trackers_named = ["tensorboard", "trackio"]
    train(make_params(), ["small"], dataset, tmp_path, upkeep=upkeep, trackers=trackers_named)
    (log,) = tmp_path.glob("scratch/train/*/log.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(told) == 2
    for tracker in told:
        assert [step for step, _ in tracker.rows] == [row["step"] for row in rows]
        _, last_step = tracker.rows[-2]
        assert last_step["gradient_norm"] == rows[-2]["gradient_norm"]
        assert "scene_id" not in last_step and "event" not in last_step
        assert tracker.rows[-1][1]["validation/loss"] == rows[-1]["loss"]
        assert tracker.finished


def test_nothing_is_tracked_unless_asked_for_and_tracking_changes_no_weight(tmp_path, told):
    dataset = make_dataset(tmp_path / "data")
    silent = train(make_params(), ["small"], dataset, tmp_path / "silent")
    assert told == []
    tracked = train(make_params(), ["small"], dataset, tmp_path / "told", trackers=["trackio"])
    assert_same_weights(silent["small"], tracked["small"])


@pytest.mark.parametrize("missing", [["tensorboard"], ["tensorboard", "trackio"]])
def test_a_tracker_that_is_not_installed_is_refused_with_the_command(monkeypatch, missing):
    for name in missing:
        monkeypatch.setattr(trackers, f"is_{name}_available", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'lyra-data\[trackers\]'") as caught:
        require_trackers(missing)
    assert caught.value.where == "--tracker"
    assert all(name in caught.value.what for name in missing)


def test_tensorboard_reads_back_what_was_logged_and_drops_steps_that_are_taken_again(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for first, value in ((0, 1.0), (2, 9.0)):
        options = {"folder": tmp_path, "project": "p", "phase": "small", "first": first}
        opened = Trackers(["tensorboard"], **options)
        for step in range(first + 1, 5):
            opened.append({"event": "step", "step": step, "loss": value, "scene_id": "a"})
        opened.finish()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / "small"))
    events.Reload()
    found = [(scalar.step, scalar.value) for scalar in events.Scalars("loss")]
    assert found == [(1, 1.0), (2, 1.0), (3, 9.0), (4, 9.0)]


def test_trackers_are_closed_where_training_ends_in_an_error(tmp_path, told, monkeypatch):
    def broken(self: PhaseTrainer, step: int) -> None:
        raise InputError("broken", where="step", fix="none")

    monkeypatch.setattr(PhaseTrainer, "step", broken)
    with pytest.raises(InputError, match="broken"):
        dataset = make_dataset(tmp_path / "data")
        train(make_params(), ["small"], dataset, tmp_path, trackers=["tensorboard"])
    assert [one.finished for one in told] == [True]
