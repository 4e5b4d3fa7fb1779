"""A command line that cannot be understood: exit code 2, and with --json an object to read."""

from __future__ import annotations

import json

import pytest
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


@pytest.mark.parametrize("words", [[], ["run"], ["view"], ["weights"], ["weights", "pull"]])
def test_help_shows_no_type_of_an_option_that_takes_no_value(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"]).stdout
    assert "--help" in shown
    assert "<bool>" not in shown
