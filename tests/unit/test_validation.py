from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.training.states import Upkeep
from tests.unit import test_dynamic_training as dynamic
from tests.unit.test_training import (
    assert_same_weights,
    make_dataset,
    make_params,
    train,
)
from tests.unit.test_training_log import log_of

SPLITS = {"a": "train", "b": "validation"}


def both_splits(folder) -> tuple[SceneDataset, SceneDataset]:
    dataset = make_dataset(folder, scenes=("a", "b"), splits=SPLITS)
    return dataset, SceneDataset(folder, split="validation")


def validations(folder) -> list[dict]:
    return [row for row in log_of(folder).rows() if row["event"] == "validation"]


def test_validating_changes_no_bit_of_the_weights_and_no_random_state(tmp_path):
    dataset, validation = both_splits(tmp_path / "data")
    assert (dataset.scene_ids, validation.scene_ids) == (["a"], ["b"])
    weights = []
    for name, steps in (("with", 1), ("without", 0)):
        torch.manual_seed(5)
        np.random.seed(5)
        upkeep = Upkeep(validation_steps=steps)
        made = train(make_params(), ["small"], dataset, tmp_path / name, upkeep=upkeep)
        weights.append((made["small"], torch.rand(1), np.random.rand()))
    assert_same_weights(weights[0][0], weights[1][0])
    assert weights[0][1:] == weights[1][1:]
    assert len(validations(tmp_path / "with")) == 3
    assert validations(tmp_path / "without") == []


def test_scores_come_at_intervals_and_at_the_end(tmp_path):
    dataset, _ = both_splits(tmp_path / "data")
    params = make_params()
    train(params, ["small"], dataset, tmp_path, upkeep=Upkeep(validation_steps=2))
    rows = validations(tmp_path)
    assert [row["step"] for row in rows] == [2, 3]
    for row in rows:
        for name in ("loss", "image", "depth", "psnr", "ssim"):
            assert math.isfinite(row[name]), name


def test_a_decoder_of_one_view_is_validated_on_one_view(tmp_path, monkeypatch):
    dataset, _ = both_splits(tmp_path / "data")
    read, forward = [], GaussianDecoder.forward

    def spied(decoder, inputs, **options):
        read.append((torch.is_grad_enabled(), inputs.num_views))
        return forward(decoder, inputs, **options)

    monkeypatch.setattr(GaussianDecoder, "forward", spied)
    params = make_params(min_views=1, max_views=1)
    train(params, ["small", "demo"], dataset, tmp_path, upkeep=Upkeep(validation_steps=9))
    assert [views for training, views in read if not training] == 4 * [2] + 4 * [
        1
    ]  # three moments, one grid


def test_scenes_of_the_validation_split_are_never_trained_on(tmp_path):
    dataset, _ = both_splits(tmp_path / "data")
    train(make_params(), ["small"], dataset, tmp_path, upkeep=Upkeep(validation_steps=9))
    rows = [row for row in log_of(tmp_path).rows() if row["event"] == "step"]
    assert {row["scene_id"] for row in rows} == {"a"}


def test_without_validation_scenes_nothing_is_validated(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    train(make_params(), ["small"], dataset, tmp_path, upkeep=Upkeep(validation_steps=9))
    assert validations(tmp_path) == []


@pytest.mark.parametrize("directions", [(False, True), (False, False)])
def test_scenes_that_move_are_validated_moment_by_moment(tmp_path, directions):
    views = [
        replace(dynamic.brightening_view(index, motion_reversed=backwards), scene_id=scene)
        for scene in SPLITS
        for index, backwards in enumerate(directions)
    ]
    folder = tmp_path / "data"
    write_dataset(views, folder, splits=SPLITS, scenes_per_shard=1, provenance={})
    dataset, upkeep = SceneDataset(folder, split="train"), Upkeep(validation_steps=9)
    train(dynamic.make_params(steps=2), ["small"], dataset, tmp_path, upkeep=upkeep)
    assert [row["step"] for row in validations(tmp_path)] == [2]
