"""lyra-data convert: what it tells, what it refuses, and that it replaces nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lyra_data.dataset.writing.writer import write_dataset
from stages.verbs.convert import convert
from tests.factories import make_view
from tests.lyra_layout import write_clip

app = typer.Typer()
app.command("convert")(convert)
app.command("other")(lambda: None)


def run(*arguments: object):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("convert") / "source"
    write_clip(folder, 0)
    write_clip(folder, 7, broken=True)
    return folder


def test_a_source_becomes_a_dataset_and_that_becomes_both_others(source, tmp_path) -> None:
    ran = run(source, tmp_path / "data")
    assert ran.exit_code == 0, ran.output
    assert "poses backwards in 1 of 2 views" in ran.output
    assert "scene/7" in ran.output and "--repair flipped-poses" in ran.output
    ran = run(tmp_path / "data", tmp_path / "back", "--json")
    facts = json.loads(ran.stdout)
    assert (facts["stage"], facts["to"], facts["kept_videos"]) == ("convert", "lyra", 2)
    assert "is not complete" in facts["remarks"][0]
    ran = run(tmp_path / "data", tmp_path / "shards", "--to", "webdataset", "--json")
    assert json.loads(ran.stdout)["num_samples"] == 2


def test_a_repaired_source_is_told(source, tmp_path) -> None:
    ran = run(source, tmp_path / "data", "--repair", "flipped-poses", "--json")
    facts = json.loads(ran.stdout)
    assert facts["poses"] == {"agree": 1, "repaired": 1}
    assert facts["views_with_flipped_poses"] == [] and facts["num_views"] == 2


def test_what_cannot_be_converted_ends_with_2_and_leaves_all_as_it_was(source, tmp_path) -> None:
    write_dataset([make_view()], tmp_path / "data", splits=None, scenes_per_shard=1, provenance={})
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    refusals = [
        ((source, tmp_path / "full"), "nothing is replaced"),
        ((source, source / "out"), "inside the source"),
        ((source, source.parent), "not empty"),
        ((source, tmp_path / "out", "--to", "webdataset"), "convert it to a dataset first"),
        ((tmp_path / "data", tmp_path / "out", "--to", "lyra-data"), "is not converted"),
        ((tmp_path / "data", tmp_path / "out", "--repair", "flipped-poses"), "--repair"),
        ((tmp_path / "full", tmp_path / "out"), "neither a clip of Lyra's"),
        ((tmp_path / "nowhere", tmp_path / "out"), "no such file or folder"),
    ]
    for arguments, words in refusals:
        ran = run(*arguments)
        assert ran.exit_code == 2, (arguments, ran.output)
        assert words in ran.output and "Traceback" not in ran.output
    assert (tmp_path / "full/mine").read_text() == "mine" and not (tmp_path / "out").exists()
