"""The terminal shows texts of strangers, and obeys none of them."""

from __future__ import annotations

import pytest
from rich.table import Table
from rich.text import Text

from stages.terminal import terminal

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202elicence\x7f"


@pytest.mark.parametrize("make", [str, Text, lambda text: table_of(text)])
def test_a_text_cannot_steer_the_terminal(capsys, make) -> None:
    terminal().print(make(f"[b] {HOSTILE} :car: ü"), soft_wrap=True)
    seen = capsys.readouterr().out
    assert "licence" in seen and "[b]" in seen and ":car: ü" in seen
    assert not set(seen) & set("\x1b\x07\x9b\u202e\x7f")


def table_of(text: str) -> Table:
    table = Table("what")
    table.add_row(Text(text))
    return table
