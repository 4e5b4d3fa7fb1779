"""Verdicts and their intervals: who is called better, and when nobody is."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from lyra_model.evaluation.results import results_as_json
from lyra_model.evaluation.scene_result import SceneResult, ViewFacts
from lyra_model.evaluation.scoring import FrameScores
from lyra_model.evaluation.verdicts import findings, headline
from lyra_model.metrics.scores import Scores


def frame_scores(psnrs_db: Sequence[float]) -> FrameScores:
    psnr = torch.tensor(psnrs_db, dtype=torch.float64)
    counts = torch.full((len(psnrs_db),), 100)
    one = Scores(psnr, counts)
    shares = Scores(torch.full_like(psnr, 0.5), counts)
    return FrameScores(one, one, shares, shares, shares)


def make_scene(scene_id: str, psnrs_db: dict[str, Sequence[float]]) -> SceneResult:
    held_out = {method: frame_scores(values) for method, values in psnrs_db.items()}
    return SceneResult(
        scene_id=scene_id,
        held_out=held_out,
        frames_past_input=[1] * len(psnrs_db["decoder"]),
        real=None,
        num_gaussians=1,
        views=[ViewFacts(f"{scene_id}/left", "1", 30.0)],
        origins={},
    )


def results_of(ahead_db: Sequence[float], split: str = "train") -> dict[str, Any]:
    """Results of scenes whose decoder is ahead of the copied frame by so much."""
    scenes = [
        make_scene(f"s{i}", {"decoder": [20.0 + i + ahead], "copied": [20.0 + i], "warped": [90.0]})
        for i, ahead in enumerate(ahead_db)
    ]
    return results_as_json(scenes, {scene.scene_id: split for scene in scenes}, {})


def test_better_is_said_only_where_the_interval_leaves_out_zero() -> None:
    ahead, apart = results_of([1.0, 1.2] * 5), results_of([1.0, -0.9] * 5)
    (beats,) = (s for s in findings(ahead) if "copied" in s)
    assert beats.startswith(
        "On held-out frames the decoder beats the copied nearest frame by 1.10 dB"
    )
    assert "95 % interval over 10 scenes: 1.0" in beats
    assert headline(ahead).startswith("The decoder is better than the copied nearest frame")
    (tied,) = (s for s in findings(apart) if "copied" in s)
    assert "cannot be told apart" in tied and "+0.05 dB" in tied and "\N{MINUS SIGN}" in tied
    assert "Neither" in headline(apart)
    assert not any("better" in s or "beats" in s for s in (tied,))


def test_a_baseline_that_wins_is_said_to_win() -> None:
    behind = results_of([-1.0, -1.2] * 5)
    assert any(
        "the copied nearest frame is still better than the decoder, by 1.10" in s
        for s in findings(behind)
    )
    assert headline(behind).startswith("The decoder is worse than the copied nearest frame")
    assert any("the depth warp is still better" in s for s in findings(behind))


@pytest.mark.parametrize("num", [1, 3])
def test_few_scenes_give_figures_and_no_verdict(num: int) -> None:
    results = results_of([2.0] * num)
    sentences = findings(results)
    assert "On held-out frames the decoder is 2.00 dB above the copied nearest frame." in sentences
    assert not any("beats" in sentence or "is still better" in sentence for sentence in sentences)
    assert ("no verdict" if num == 1 else "decide nothing") in headline(results)
    caveat = (
        "this is one scene: it gives no interval" if num == 1 else "these are 3 scenes: too few"
    )
    assert any(caveat in sentence for sentence in sentences)
    intervals = results["uncertainty"]["held_out_frames"]["intervals"]["decoder"]
    assert ("psnr_db" in intervals) == (num > 1)


def test_the_headline_is_that_of_scenes_that_were_not_trained_on() -> None:
    scenes = [
        make_scene(f"s{i}", {"decoder": [25.0 if i < 8 else 15.0 + 0.1 * i], "copied": [20.0]})
        for i in range(16)
    ]
    splits = {scene.scene_id: "train" if i < 8 else "validation" for i, scene in enumerate(scenes)}
    assert headline(results_as_json(scenes, splits, {})).startswith(
        "The decoder is worse than the copied nearest frame over 8 validation scenes"
    )


def test_intervals_are_around_the_means_that_stand_beside_them() -> None:
    scenes = [
        make_scene("a", {"decoder": [20.0, 21.0, 25.0], "copied": [19.0, 19.0, 19.0]}),
        make_scene("b", {"decoder": [30.0], "copied": [31.0]}),
        make_scene("c", {"decoder": [math.nan], "copied": [12.0]}),
    ]
    results = results_as_json(scenes, dict.fromkeys("abc", "train"), {})
    interval = results["uncertainty"]["held_out_frames"]["intervals"]["decoder"]["psnr_db"]
    assert interval["mean"] == results["held_out_frames"]["decoder"]["psnr_db"] == 24.0
    assert interval["num_scenes"] == 2
    assert interval["low"] < 24.0 < interval["high"]
    assert "uncertainty" not in results["splits"]["train"]  # that of all scenes is its own
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_equal_pictures_have_no_interval_and_no_verdict() -> None:
    scenes = [make_scene(f"s{i}", {"decoder": [20.0 + i], "copied": [math.inf]}) for i in range(8)]
    results = results_as_json(scenes, {scene.scene_id: "train" for scene in scenes}, {})
    assert "psnr_db" not in results["uncertainty"]["held_out_frames"]["intervals"]["copied"]
    assert not any("copied" in sentence for sentence in findings(results))
    assert "not compared" in headline(results)


def test_real_photos_have_verdicts_of_their_own_and_absent_ones_none() -> None:
    without = results_of([1.0])
    assert not any("real photo" in sentence for sentence in findings(without))
    assert not any("first phase" in sentence for sentence in findings(without))
    scene = make_scene("s", {"decoder": [20.0], "copied": [18.0], "first_phase": [17.0]})
    scene = dataclasses.replace(scene, real=scene.held_out)
    sentences = findings(results_as_json([scene], {"s": "train"}, {}))
    assert "On real photos the decoder is 3.00 dB above its own first phase." in sentences
    (caveat,) = (sentence for sentence in sentences if "one scene" in sentence)
    assert caveat.startswith("On held-out frames and on real photos this is one scene")
