"""Near-duplicates are found through JPEG, brightness and size, and unlike photos are not."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from typer.testing import CliRunner

from lyra_data.dataset.editing.duplicates import Duplicate, pairs_of, without_duplicates
from lyra_data.dataset.editing.likeness import perceptual_hash
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from stages.cli import app
from tests.factories import make_view

THRESHOLD = 12
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "brick", "gravel", "clock")


@cache
def photos() -> dict[str, np.ndarray]:
    """Small, RGB, as thumbnails are."""
    found = {}
    for name in PHOTOS:
        picture = getattr(data, name)()
        picture = np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture[..., :3]
        size = (round(picture.shape[1] * 128 / picture.shape[0]), 128)
        found[name] = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
    return found


def _jpeg(picture: np.ndarray) -> np.ndarray:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 10])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def _crop(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    rows, columns = height // 100, width // 100
    return picture[rows : height - rows, columns : width - columns]


@pytest.mark.parametrize(
    "change",
    [
        _jpeg,
        _crop,
        lambda picture: (picture * 0.7).astype(np.uint8),
        lambda picture: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    ],
    ids=["jpeg 10", "crop 2 %", "darker", "half size"],
)
def test_a_changed_photo_is_like_itself(change) -> None:
    for name, picture in photos().items():
        changed = perceptual_hash(change(picture))
        assert (perceptual_hash(picture) ^ changed).bit_count() <= THRESHOLD, name


def test_unlike_photos_are_not_alike() -> None:
    hashes = [perceptual_hash(picture) for picture in photos().values()]
    assert min((a ^ b).bit_count() for a, b in itertools.combinations(hashes, 2)) > THRESHOLD + 4


def test_of_every_group_the_first_scene_is_kept() -> None:
    pairs = [Duplicate("a", "b", 0, False), Duplicate("b", "c", 4, False)]
    assert without_duplicates("abcd", pairs) == ["a", "c", "d"]  # c is like b, which goes


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos as views' first frames; the second is the first, darker, in another split."""
    astronaut, coffee = photos()["astronaut"], photos()["coffee"]
    pictures = {"a": astronaut, "b": (astronaut * 0.7).astype(np.uint8), "c": coffee}
    views = []
    for name, picture in pictures.items():
        view = make_view(name, num_frames=1, height=96, width=96)
        shown = cv2.resize(picture, (96, 96), interpolation=cv2.INTER_AREA)
        views.append(replace(view, frames=torch.from_numpy(shown).permute(2, 0, 1)[None]))
    folder = tmp_path_factory.mktemp("data") / "data"
    splits = {"a": "train", "b": "validation", "c": "train"}
    write_dataset(views, folder, splits=splits, scenes_per_shard=2, provenance={})
    return folder


def test_pairs_are_told_and_left_out(folder: Path, tmp_path: Path) -> None:
    told = json.loads(CliRunner().invoke(app, ["dedup", str(folder), "--json"]).stdout)
    (pair,) = told["pairs"]
    assert (pair["scene"], pair["other"], pair["is_leak"]) == ("a", "b", True)
    out = tmp_path / "out"
    ran = CliRunner().invoke(app, ["dedup", str(folder), str(out)], env={"COLUMNS": "80"})
    assert ran.exit_code == 0 and max(map(len, ran.stdout.splitlines()[1:])) <= 80, ran.output
    assert SceneDataset(out, verify="full").scene_ids == ["a", "c"]
    again = CliRunner().invoke(app, ["dedup", str(out), "--json"])
    assert json.loads(again.stdout)["pairs"] == []


def test_many_scenes_of_one_picture_are_told_in_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs of 2,000 took 3.0 GB. Which scenes go, and which leak, is the same."""
    draws = np.random.default_rng(0)
    few = np.array([0, 0xFF << 20, 0xFFFF << 40], np.uint64)
    hashes = few[draws.integers(0, 3, 60)] ^ (1 << draws.integers(0, 50, 60)).astype(np.uint64)
    scenes = [(f"s{number:02}", "train" if number % 3 else "validation") for number in range(60)]
    names = [name for name, _ in scenes]
    every = pairs_of(scenes, hashes, 6)
    monkeypatch.setattr("lyra_data.dataset.editing.duplicates.MOST_PAIRS", 10)
    some = pairs_of(scenes, hashes, 6)
    assert set(some) < set(every) and len(some) <= 10 + 2 * 60 < len(every)
    assert without_duplicates(names, some) == without_duplicates(names, every)
    assert {pair.other for pair in some if pair.is_leak} == {
        pair.other for pair in every if pair.is_leak
    }
    monkeypatch.undo()
    same = pairs_of([(f"s{n}", "train") for n in range(2000)], np.zeros(2000, np.uint64), 6)
    assert len(same) < 52_000 and len(without_duplicates([f"s{n}" for n in range(2000)], same)) == 1
