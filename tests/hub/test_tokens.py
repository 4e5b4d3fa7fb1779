"""Tokens stand in nothing that is written, sent or printed, whatever goes wrong on the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lyra_data.dataset.writing.writer import write_dataset
from stages.cli import app
from tests.dataset_scenes import exact_scene
from tests.goldens import REPOSITORY
from tests.hub.server import OTHER_TOKEN, READ_TOKEN, TOKEN, HubState, client_pointed_at

NAME = "lab/scenes"
TOKENS = (TOKEN, READ_TOKEN, OTHER_TOKEN, "hf_unknown")
PUBLISH = ("publish", "dataset", "--repository", NAME, "--licence", "CC-BY-4.0", "--yes")


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A project with a dataset, in which the tests stand."""
    root = tmp_path / "project"
    dataset, splits = root / "outputs" / "dataset", {"a": "train"}
    write_dataset(exact_scene("a"), dataset, splits=splits, scenes_per_shard=1, provenance={})
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["publish"]["model_licences"] = {"exact": "Apache-2.0"}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("xet", [False, True])
def test_no_byte_that_is_written_sent_or_printed_holds_a_token(
    project: Path, hub: str, hub_state: HubState, tmp_path: Path, caplog, xet: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    hub_state.large_from = 1000
    printed = []

    def run(token: str, *arguments: str) -> int:
        with client_pointed_at(hub, tmp_path / "home", token=token, xet=xet):
            done = CliRunner().invoke(app, arguments)
        printed.append(done.output)
        return done.exit_code

    assert [run(token, *PUBLISH) for token in TOKENS[1:]] == [2, 2, 2]
    hub_state.faults.add("cut_request", "/commit/", times=1)
    hub_state.faults.add("status", "/tag/", status=403, times=1)
    assert run(TOKEN, *PUBLISH) == 2
    assert run(TOKEN, *PUBLISH, "--json") == 0
    address = f"hf://datasets/{NAME}@v0.1.0"
    assert run(OTHER_TOKEN, "pull", NAME, "--output", "no", "--yes") == 2
    assert run("hf_unknown", "pull", NAME, "--output", "no", "--yes") == 2
    assert run(TOKEN, "pull", f"{NAME}@v0.1.0", "--output", "whole", "--yes") == 0
    assert run(TOKEN, "pull", NAME, "--scenes", "1", "--output", "part", "--yes") == 0
    assert run(TOKEN, "diff", "whole", address, "--html", "page.html") == 0

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"dataset.json", "page.html", "manifest.json"} <= names
    assert any("calls" in path.as_posix() for path in files), "the record of calls"
    sent = hub_state.files(f"datasets/{NAME}", "v0.1.0")
    commits = hub_state.repositories[f"datasets/{NAME}"].history.commits.values()
    titles = [text for commit in commits for text in (commit.title, commit.message)]
    written = {str(path): path.read_bytes() for path in files} | sent
    written["printed"] = "\n".join(printed).encode()
    written["log"] = caplog.text.encode()
    written["titles"] = "\n".join(titles).encode()
    assert len(written["log"]) > 1000
    for name, content in written.items():
        assert not [token for token in TOKENS if token.encode() in content], name
    assert hub_state.records.tokens_elsewhere == []


def test_a_token_in_the_params_is_not_published(
    project: Path, hub: str, hub_state: HubState, tmp_path: Path
) -> None:
    params = project / "params.yaml"
    text = params.read_text()
    assert "\ngenerate:\n" in text
    params.write_text(text.replace("\ngenerate:\n", f"\ngenerate:  # {TOKEN}\n"))
    with client_pointed_at(hub, tmp_path / "home", token=TOKEN):
        done = CliRunner().invoke(app, PUBLISH)
    assert done.exit_code == 2 and "looks like a token" in done.output
    assert TOKEN not in done.output
    assert f"datasets/{NAME}" not in hub_state.repositories
