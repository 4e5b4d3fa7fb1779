"""A command line that cannot be understood: exit code 2, and with --json an object to read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from stages.cli import app
from stages.summary import counted


@pytest.mark.parametrize(
    ("line", "what", "where"),
    [
        ("annotate --fase demo", "No such option: --fase", "annotate"),
        ("trian", "No such command 'trian'", ""),
        ("--fast", "No such option: --fast", ""),
        ("split in out", "Missing option '--share'", "split"),
        ("annotate --output out", "--output is for clips of INPUTs", "annotate"),
        ("train --checkpoint-steps 0", "greater than or equal to 1", "train"),
        ("weights pull", "Missing argument 'name'", "weights pull"),
        ("weights push", "No such command 'push'", "weights"),
    ],
)
def test_a_usage_error_is_an_object_under_json_and_in_words_besides(line, what, where):
    plain = CliRunner().invoke(app, line.split())
    assert (plain.exit_code, plain.stdout) == (2, "")
    result = CliRunner().invoke(app, [*line.split(), "--json"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert what in error["what"]
    command = error["where"].partition(" ")[2]
    assert (error["kind"], command) == ("UsageError", where)
    assert error["fix"] == f"see `{error['where']} --help`"
    assert "Usage:" in result.stderr


def test_numbers_have_their_nouns():
    assert [counted(n, "scene") for n in (0, 1, 2000)] == ["0 scenes", "1 scene", "2,000 scenes"]


def _every_command() -> Iterator[tuple[str, ...]]:
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", ()))


@pytest.mark.parametrize("words", [(), *_every_command()])
def test_help_shows_what_to_write_and_no_type_of_python(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"]).stdout
    assert "--help" in shown
    assert not re.search(r"<[a-z]|list\[|\bbool\b|(int|float) range", shown)


def test_every_verb_of_the_help_stands_under_a_heading_of_its_own_kind() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Stages, in their order" in shown and "─ Commands ─" not in shown


def test_a_path_that_is_not_there_is_told_with_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").touch()
    refusals = {
        "reconstruct motorcycl": "did you mean motorcycle?",
        "annotate photo.jpeg": "did you mean " + str(tmp_path / "photo.jpg"),
        "run foto.jpg": "did you mean photo.jpg?",
        "reconstruct entirely_else.png": "correct the path",
    }
    for line, fix in refusals.items():
        result = CliRunner().invoke(app, [*line.split(), "--json"])
        error = json.loads(result.stdout)["error"]
        assert (result.exit_code, error["what"]) == (2, "there is no such file or folder")
        assert fix in error["fix"]
