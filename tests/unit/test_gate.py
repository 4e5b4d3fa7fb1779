"""gate: regressions beyond the noise, and evaluations that must not be compared."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_model.judging.protocols.built_in import LYRA_VIEWS
from lyra_model.judging.protocols.files import stated_protocol
from stages.cli import app

SCENES = 12
COUNTS = {"num_pixels": 100, "num_known_pixels": 90, "num_depth_pixels": 80}


def evaluation(psnr_db: list[float], *, ssim: float = 0.8, error: float = 0.1) -> dict[str, Any]:
    scenes = {}
    for number, value in enumerate(psnr_db):
        depth = {"depth_abs_rel": error, "depth_within_delta": 0.9}
        decoder = {"psnr_db": value, "psnr_known_db": value, "ssim": ssim, **depth, **COUNTS}
        scenes[f"scene_{number}"] = {
            "held_out_frames": {"decoder": decoder, "copied": decoder},
            "real_photos": {},
        }
    dataset = {"dataset_hash": "d" * 64, "codec_fingerprint": "dct-1"}
    return {
        "scenes": scenes,
        "provenance": {"params_hashes": {"evaluate": "e" * 64}, "dataset": dataset},
    }


@pytest.fixture
def compare(tmp_path):
    def run(now: Any, before: Any, *options: str) -> Any:
        for name, value in (("now", now), ("before", before)):
            (tmp_path / f"{name}.json").write_text(
                value if isinstance(value, str) else json.dumps(value)
            )
        arguments = [str(tmp_path / "now.json"), "--baseline", str(tmp_path / "before.json")]
        return CliRunner().invoke(app, ["gate", *arguments, "--json", *options])

    return run


BEFORE = [20.0 + number for number in range(SCENES)]


def test_an_evaluation_passes_its_own_gate(compare):
    answer = compare(evaluation(BEFORE), evaluation(BEFORE))
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["regressions"] == []


def test_a_fall_of_every_scene_is_a_regression_and_exits_with_1(compare):
    fallen = evaluation([value - 0.2 for value in BEFORE])
    answer = compare(fallen, evaluation(BEFORE))
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["regressions"] == ["psnr_db, held out"]


def test_a_rise_is_none_and_neither_is_a_fall_within_the_noise(compare):
    assert compare(evaluation([v + 1 for v in BEFORE]), evaluation(BEFORE)).exit_code == 0
    fallen = evaluation([value - 0.2 for value in BEFORE])
    assert compare(fallen, evaluation(BEFORE), "--noise-db", "0.3").exit_code == 0


def test_a_fall_of_the_mean_that_scenes_do_not_agree_on_is_none(compare):
    """Two scenes fell by much, the others rose: the interval of the difference holds 0."""
    mixed = [v + (0.5 if number > 1 else -4.0) for number, v in enumerate(BEFORE)]
    assert sum(mixed) < sum(BEFORE)
    answer = compare(evaluation(mixed), evaluation(BEFORE))
    assert answer.exit_code == 0, answer.output


def test_of_one_scene_the_noise_alone_decides(compare):
    assert compare(evaluation([19.9]), evaluation([20.0])).exit_code == 1
    assert compare(evaluation([19.96]), evaluation([20.0])).exit_code == 0


def test_a_larger_depth_error_is_a_regression(compare):
    answer = compare(evaluation(BEFORE, error=0.12), evaluation(BEFORE, error=0.1))
    assert json.loads(answer.stdout)["regressions"] == ["depth_abs_rel, held out"]


def test_evaluations_that_judge_something_else_are_refused(compare):
    other = evaluation(BEFORE)
    other["provenance"]["dataset"]["dataset_hash"] = "f" * 64
    answer = compare(evaluation(BEFORE), other)
    assert answer.exit_code == 2
    assert "dataset (ffffffffffff before, dddddddddddd now)" in answer.output
    assert compare(evaluation(BEFORE), other, "--other-data").exit_code == 0

    params = evaluation(BEFORE)
    params["provenance"]["params_hashes"]["evaluate"] = "a" * 64
    answer = compare(evaluation(BEFORE), params, "--other-data")
    assert answer.exit_code == 2 and "params of evaluate" in answer.output

    answer = compare(evaluation(BEFORE[:-1]), evaluation(BEFORE))
    assert answer.exit_code == 2 and "the first 'scene_11'" in answer.output

    fewer = copy.deepcopy(evaluation(BEFORE))
    fewer["scenes"]["scene_3"]["held_out_frames"]["decoder"]["num_pixels"] = 7
    answer = compare(fewer, evaluation(BEFORE))
    assert answer.exit_code == 2 and "scene 'scene_3' (held_out_frames)" in answer.output


def test_figures_of_another_protocol_are_refused_with_the_entries_that_differ(compare):
    def judged_at(height: int, dataset_hash: str = "d" * 64) -> dict[str, Any]:
        pictures = replace(LYRA_VIEWS.pictures, height=height, width=96)
        split = replace(LYRA_VIEWS.split, sha256=dataset_hash, num_used=SCENES)
        protocol = replace(LYRA_VIEWS, pictures=pictures, split=split)
        return {**evaluation(BEFORE), "protocol": stated_protocol(protocol)}

    answer = compare(judged_at(64), judged_at(128))
    assert answer.exit_code == 2
    assert "pictures.height: 64 | 128" in json.loads(answer.stdout)["error"]["what"]
    assert compare(judged_at(64), judged_at(64, "f" * 64)).exit_code == 0, "scenes: one by one"
    assert compare(judged_at(64), evaluation(BEFORE)).exit_code == 0, "it states no protocol"
    forged = judged_at(64)
    forged["protocol"]["values"]["pictures"]["height"] = 128
    answer = compare(forged, judged_at(128))
    assert answer.exit_code == 2 and "fingerprint" in answer.output


def test_the_table_fits_80_columns_and_says_worse_in_words(tmp_path):
    for name, values in (("now", [v - 1 for v in BEFORE]), ("before", BEFORE)):
        (tmp_path / name).write_text(json.dumps(evaluation(values)))
    arguments = ["gate", str(tmp_path / "now"), "--baseline", str(tmp_path / "before")]
    lines = CliRunner().invoke(app, arguments).stdout.splitlines()
    row = next(line for line in lines if line.strip().startswith("psnr_db, held out"))
    assert row.rstrip().endswith("worse") and len(row) <= 80


def test_a_file_without_scenes_and_a_folder_are_named(compare, tmp_path):
    answer = compare({"psnr": 20.0}, evaluation(BEFORE))
    assert answer.exit_code == 2 and "has no scenes" in answer.output
    arguments = ["gate", str(tmp_path), "--baseline", str(tmp_path)]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 2 and "is a folder" in answer.output


@pytest.mark.parametrize("text", ["{", "[]", '{"scenes": {}}', '{"scenes": {"a": 1}}'])
def test_what_is_no_evaluation_is_refused(compare, text):
    for pair in ((text, evaluation(BEFORE)), (evaluation(BEFORE), text)):
        answer = compare(*pair)
        assert answer.exit_code == 2 and "not a readable evaluation" in answer.output


def test_a_baseline_that_is_not_there_is_named(tmp_path):
    file = tmp_path / "now.json"
    file.write_text(json.dumps(evaluation(BEFORE)))
    answer = CliRunner().invoke(app, ["gate", str(file), "--baseline", str(tmp_path / "none")])
    assert answer.exit_code == 2 and "no such file" in answer.output
