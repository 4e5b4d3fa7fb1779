"""Progress where there is no terminal: lines that a log can hold."""

from __future__ import annotations

import io

from rich.console import Console

from stages.progress import LineProgress


def test_a_log_has_a_line_now_and_then_and_one_at_the_end_of_each_piece_of_work() -> None:
    file, now = io.StringIO(), [0.0]
    progress = LineProgress(Console(file=file, width=40), clock=lambda: now[0])
    progress.start("Generating", 6, "views")
    for name in ("left", "right", "up"):
        now[0] += 20
        progress.advance(note=f"scene [bold]/{name}")
    progress.start("Assembling", 1, "scenes")
    now[0] += 1
    progress.advance()
    progress.finish()
    progress.finish()
    assert file.getvalue().splitlines() == [
        "Generating 2/6 views, 0:00:40, 0:01:20 left, scene [bold]/right",
        "Generating 3/6 views, 0:01:00, 0:01:00 left, scene [bold]/up",
        "Assembling 1/1 scenes, 0:00:01",
    ]
