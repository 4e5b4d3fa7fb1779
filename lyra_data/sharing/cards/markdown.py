"""Write Markdown that shows texts of others as they are: nothing in them becomes markup.

Scenes, prompts, licences and reasons come out of files that anyone may have written. Each goes
through `plain` or `code_block`; what stands in a card besides is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MOST_CHARACTERS = 200
_MARKUP = re.compile(r"([\\`*\[\]|~@$]|(?<!\w)_|_(?!\w)|(?<=\w):(?=//)|(?<=[wW]{3})\.)")
"""Marks of code, emphasis, links, pictures, tables, mentions, formulas and bare addresses. The "_"
inside a word is none, so names of scenes can be read in the text too."""

_AT_THE_BEGINNING = re.compile(r"^([-+#=]|\d+(?=[.)](\s|$)))")
"""Marks that make a list or a heading where they begin a line."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]+")


def plain(text: object, length: int = MOST_CHARACTERS) -> str:
    """Return Markdown that shows a text on one line, cut to so many characters.

    Tags, links, pictures, tables, mentions and invisible characters of direction lose their
    meaning.
    """
    line = _UNPRINTABLE.sub(" ", str(text))
    line = re.sub(r"\s+", " ", line).strip()
    if len(line) > length:
        line = f"{line[: length - 3]}..."
    line = _MARKUP.sub(r"\\\1", line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _AT_THE_BEGINNING.sub(lambda match: _escaped(match[0]), line)


def _escaped(beginning: str) -> str:
    """Return the beginning of a line so that it begins neither a list nor a heading."""
    return f"&#{ord(beginning[0])};{beginning[1:]}"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table, and a blank one; numbers stand on the right.

    Cells are Markdown: texts of others go through `plain` before. There is no table without rows.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return []
    columns = [[row[column] for row in cells] for column in range(len(headings))]
    is_number = [any(column) and all(map(_is_number, column)) for column in columns]
    rule = ["---:" if number else "---" for number in is_number]
    lines = [list(headings), rule, *cells]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def code_block(code: str, language: str = "") -> list[str]:
    """Return the lines of a block that shows a text letter by letter, and a blank one."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *code.strip("\n").splitlines(), fence, ""]


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits; "" where there is none."""
    if value is None:
        return ""
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.{digits}g}"
    return f"{value:.{digits}g}"


def _cell(value: object) -> str:
    return figure(value) if isinstance(value, int | float) else str(value)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[\d,.]*(e[+-]?\d+)?( ?%| MB)?", cell) is not None
