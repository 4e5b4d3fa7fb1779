"""Where no structure is found, the angle that the pictures are seen under is told."""

from __future__ import annotations

from pathlib import Path

from lyra_data.annotation.structure_from_motion.request import SolveAnswer
from lyra_data.annotation.structure_from_motion.solving import _explained


def test_an_answer_without_a_model_tells_the_measured_angle(tmp_path: Path) -> None:
    SolveAnswer("no_model", [], [900] * 73, 0, 0.42).save(tmp_path)
    error = _explained(SolveAnswer.load(tmp_path), 73, "walk.mp4")
    assert "73 frames" in error.what and "at most 0.4 degrees (3 are needed" in error.what
    SolveAnswer("no_model", [], [900] * 73, 0).save(tmp_path)
    error = _explained(SolveAnswer.load(tmp_path), 73, "walk.mp4")
    assert error.what.endswith("no two of them have enough features in common")
