from __future__ import annotations

import csv
import dataclasses
import json
import math

import pytest
import torch

from lyra_model.batches.targets import Targets
from lyra_model.evaluation.baselines import Prediction
from lyra_model.evaluation.results import results_as_json, write_held_out_curve
from lyra_model.evaluation.scene_result import SceneResult, ViewFacts
from lyra_model.evaluation.scoring import pool, score
from tests.factories import HEIGHT, WIDTH, make_targets


def off_by(targets: Targets, error: float) -> Prediction:
    return Prediction(targets.rgb * (1 - error), targets.depth * (1 + error))


def make_result(errors: dict[str, float]) -> SceneResult:
    targets = make_targets(3)
    predictions = {method: off_by(targets, error) for method, error in errors.items()}
    scores = {method: score(prediction, targets) for method, prediction in predictions.items()}
    return SceneResult(
        scene_id="wall",
        held_out=scores,
        frames_past_input=[2, 3, 3],
        real=None,
        num_gaussians=1,
        views=[ViewFacts("wall/left", "42", 31.25)],
        origins={"Source": {"licence": "CC0-1.0"}},
    )


SPLITS = {"wall": "train"}
ERRORS = {"decoder": 0.1, "first_phase": 0.2, "copied": 0.3, "warped": 0.05, "fitted": 0.08}


def test_a_perfect_prediction_has_no_error_and_counts_every_pixel():
    targets = make_targets(3)
    scores = score(off_by(targets, 0.0), targets)
    assert math.isinf(scores.psnr_db.mean)
    assert scores.ssim.mean == pytest.approx(1.0, abs=1e-6)
    assert scores.depth_abs_rel.mean == 0
    assert scores.psnr_db.total_pixels == 3 * HEIGHT * WIDTH
    assert scores.depth_abs_rel.total_pixels == int(targets.depth_valid.sum())


def test_depth_error_is_the_relative_one_over_known_pixels_alone():
    targets = make_targets(3)
    prediction = off_by(targets, 0.1)
    prediction.depth[~targets.depth_valid] = 1e6
    assert score(prediction, targets).depth_abs_rel.mean == pytest.approx(0.1, rel=1e-4)


def test_scenes_are_pooled_frame_by_frame():
    targets = make_targets(3)
    one, other = (score(off_by(targets, error), targets) for error in (0.1, 0.2))
    both = pool([one, other])
    mean = (one.psnr_db.mean + other.psnr_db.mean) / 2
    assert both.psnr_db.mean == pytest.approx(mean)
    assert both.psnr_db.total_pixels == 2 * one.psnr_db.total_pixels


def test_scenes_that_were_trained_on_are_told_apart_from_those_that_were_not():
    trained, kept = make_result(ERRORS), make_result({**ERRORS, "decoder": 0.4})
    kept = dataclasses.replace(kept, scene_id="kept")
    results = results_as_json([trained, kept], {**SPLITS, "kept": "validation"}, {})
    for split, scene in (("train", "wall"), ("validation", "kept")):
        found = results["splits"][split]["held_out_frames"]
        assert found == results["scenes"][scene]["held_out_frames"]
    both = results["held_out_frames"]["decoder"]["psnr_db"]
    apart = [
        results["splits"][s]["held_out_frames"]["decoder"]["psnr_db"] for s in results["splits"]
    ]
    assert both == pytest.approx(sum(apart) / 2)


def test_results_are_plain_json_even_for_equal_pictures():
    results = results_as_json([make_result({**ERRORS, "warped": 0.0})], SPLITS, {})
    assert results["held_out_frames"]["warped"]["psnr_db"] is None
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_the_held_out_curve_counts_frames_from_the_last_one_read(tmp_path):
    write_held_out_curve([make_result(ERRORS)], tmp_path / "curve.csv")
    rows = list(csv.DictReader((tmp_path / "curve.csv").open()))
    assert [int(row["frames_past_input"]) for row in rows] == [2, 3]
    assert set(rows[0]) == {"frames_past_input", *ERRORS}


def test_known_pixels_are_scored_apart_from_invented_ones():
    targets = make_targets(3)
    prediction = off_by(targets, 0.0)
    spoiled = torch.where(targets.filled[:, None], 1.0 - targets.rgb, prediction.rgb)
    scores = score(Prediction(spoiled, prediction.depth), targets)
    assert math.isinf(scores.psnr_known_db.mean)
    assert scores.psnr_db.mean < 40
    assert scores.psnr_known_db.total_pixels == int((~targets.filled).sum())


def test_a_result_comes_back_from_its_file_to_the_last_bit(tmp_path):
    result = make_result({**ERRORS, "warped": 0.0})
    result.held_out["decoder"].ssim.values[0] = math.nan
    result = dataclasses.replace(result, real={"decoder": result.held_out["decoder"]})
    result.write(tmp_path)
    again = SceneResult.read(tmp_path)
    for name in ("held_out", "real"):
        written, read = getattr(result, name), getattr(again, name)
        assert list(read) == list(written)
        for method, scores in written.items():
            for metric, one in vars(scores).items():
                other = getattr(read[method], metric)
                for values, others in zip(vars(one).values(), vars(other).values(), strict=True):
                    assert values.dtype == others.dtype
                    assert torch.equal(values.nan_to_num(-7.0), others.nan_to_num(-7.0)), metric
    for name in ("scene_id", "frames_past_input", "num_gaussians", "views", "origins"):
        assert getattr(again, name) == getattr(result, name)
    without = dataclasses.replace(result, real=None)
    without.write(tmp_path)
    assert SceneResult.read(tmp_path).real is None
