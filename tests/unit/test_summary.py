"""What a stage tells is JSON that every program reads, and words that fit their numbers."""

from __future__ import annotations

import json

import pytest
import typer
from rich.table import Table

from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress
from stages.running import guarded
from stages.summary import Summary, counted
from stages.terminal import terminal


def test_numbers_that_json_has_no_word_for_become_null() -> None:
    facts = {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": (float("-inf"), 2, "x", None)}}
    told = Summary("stats", "done", facts).as_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == {
        "stage": "stats",
        "headline": "done",
        "a": None,
        "b": [1.5, None],
        "c": {"d": [None, 2, "x", None]},
    }


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 views"), (1, "1 view"), (2, "2 views"), (1056, "1,056 views")]
)
def test_nouns_fit_their_numbers(count: int, told: str) -> None:
    assert counted(count, "view") == told


@pytest.mark.parametrize(
    "path", ["data [v1]/ds", "ex [z]", "q[/bold]", "[red]x[/]", "a:car:b", "["]
)
def test_paths_are_printed_as_they_are(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(path, title=path)
    table.add_row(path)
    Summary("export", f"one clip in {path}", {}, (f"note: {path}", table)).show(terminal())
    printed = capsys.readouterr().out
    assert f"export one clip in {path}\n" in printed and f"note: {path}\n" in printed
    assert printed.count(path) == 5


def test_a_long_path_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/".join(["a folder"] * 30)
    Summary("export", f"one clip in {path}").show(terminal())
    assert capsys.readouterr().out == f"export one clip in {path}\n"


@pytest.mark.parametrize("path", ["data [v1]/ds", "q[/bold]", "a:car:b"])
def test_errors_and_progress_name_paths_as_they_are(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(progress: Progress) -> Summary:
        progress.start(path, 1, "views")
        progress.advance(1, note=path)
        raise InputError(f"no {path}", where=path, fix=f"give {path}")

    with pytest.raises(typer.Exit):
        guarded(work, False)
    printed = capsys.readouterr().err
    assert f"error {path}: no {path}\nfix   give {path}\n" in printed
    assert printed.count(path) == 5
