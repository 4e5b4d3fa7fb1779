"""The numbers of `lyra-data stats` are those of the views."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyra_data.dataset.summary import Part, Quantiles, summarise_dataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from stages.cli import app
from tests.factories import make_quality, make_view


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    views = [
        make_view("a", 0, trajectory="left"),
        replace(make_view("a", 1, trajectory="left"), motion_reversed=True),
        make_view("b", 0, num_frames=17, height=24, seed=5),
    ]
    views[0] = replace(views[0], quality=make_quality(sharpness_ratio=None))
    folder = tmp_path_factory.mktemp("data") / "data"
    splits = {"a": "train", "b": "validation"}
    write_dataset(views, folder, splits=splits, scenes_per_shard=1, provenance={})
    return folder


def test_counts_sizes_and_quantiles_are_those_of_the_views(folder: Path) -> None:
    found = summarise_dataset(folder, sample=None, progress=silent)
    assert found.whole == Part(2, 3, 35, pytest.approx(35 / 24))
    assert found.splits == {
        "train": Part(1, 2, 18, pytest.approx(18 / 24)),
        "validation": Part(1, 1, 17, pytest.approx(17 / 24)),
    }
    assert {name: part.views for name, part in found.paths.items()} == {
        "left": 1,
        "left, reversed": 1,
        "right": 1,
    }
    assert sum(found.sizes.values()) == sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file()
    )
    assert found.picture_sizes == {"24x16": 2, "24x24": 1}
    assert found.numbers["sharpness_ratio"] == Quantiles(2, 1, (0.95,) * 5)
    assert found.numbers["cache_displacement_pixels"] == Quantiles(0, 3, ())
    assert found.numbers["depth_valid_fraction"].values[2] == pytest.approx(0.93, abs=0.02)
    depth = found.depth["metric"]
    assert depth.values[0] == 1.5 and depth.values[4] == 2.5 and found.depth_views == 3


def test_a_number_that_is_not_stated_is_missing_and_the_json_stays_json(tmp_path: Path) -> None:
    views = [
        replace(make_view("a", 0), movement_distance=math.nan),
        replace(make_view("a", 1), movement_distance=0.5),
    ]
    write_dataset(
        views, tmp_path / "data", splits={"a": "train"}, scenes_per_shard=2, provenance={}
    )
    ran = CliRunner().invoke(app, ["stats", str(tmp_path / "data"), "--json"])
    told = json.loads(ran.stdout, parse_constant=pytest.fail)
    assert told["numbers"]["movement_distance"] == {
        "count": 1,
        "missing": 1,
        "values": [0.5] * 5,
    }


def test_without_a_sample_no_depth_is_read(folder: Path) -> None:
    assert summarise_dataset(folder, sample=0, progress=silent).depth == {}


def test_the_tables_fit_80_columns_and_json_is_one_object(folder: Path) -> None:
    ran = CliRunner().invoke(app, ["stats", str(folder)], env={"COLUMNS": "80"})
    headline, *lines = ran.stdout.splitlines()  # a path is not broken, however long it is
    assert ran.exit_code == 0 and str(folder) in headline and max(map(len, lines)) <= 80
    for part in ("left, reversed", "validation", "sibling_displacement_pixels", "latent 15", "red"):
        assert part in ran.stdout
    told = json.loads(CliRunner().invoke(app, ["stats", str(folder), "--json"]).stdout)
    assert (told["num_scenes"], told["num_views"], told["num_frames"]) == (2, 3, 35)
    assert len(told["latent_channels"]) == 16 and len(told["rgb_channels"]) == 3
    assert told["numbers"]["sharpness_ratio"]["missing"] == 1


def test_what_is_no_dataset_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["stats", str(tmp_path)])
    assert ran.exit_code == 2 and "Traceback" not in ran.output
