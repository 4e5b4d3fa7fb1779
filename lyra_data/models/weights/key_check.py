"""Key check: every missing, unexpected and misshapen weight of a model, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lyra_data.models.weights.renaming import NameTable, Renamed

Shape = tuple[int, ...]


@dataclass
class KeyCheck:
    """Problems of one model's weights: (kind, name, found, expected), worded for people."""

    model: str
    problems: list[tuple[str, str, str, str]] = field(default_factory=list)

    def missing(self, name: str, expected: Shape) -> None:
        self.problems.append(("missing", name, "-", _shape_text(expected)))

    def unexpected(self, name: str, actual: Shape | str) -> None:
        self.problems.append(("unexpected", name, _shape_text(actual), "-"))

    def misshapen(self, name: str, actual: Shape | str, expected: Shape) -> None:
        self.problems.append(("misshapen", name, _shape_text(actual), _shape_text(expected)))

    def __str__(self) -> str:
        """Return one line a problem, in columns, under a line that counts them."""
        kinds = [problem[0] for problem in self.problems]
        counts = [
            f"{kinds.count(kind)} {kind}"
            for kind in ("missing", "unexpected", "misshapen")
            if kind in kinds
        ]
        rows = [("", "weight", "found", "expected"), *self.problems]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
            )
            for row in rows
        ]
        return "\n".join([f"{self.model}: {', '.join(counts)}", *(f"  {line}" for line in lines)])


def check_source(
    model: str,
    entries: Mapping[str, Any],
    renamed: Renamed,
    names: NameTable,
    expected: Mapping[str, Shape],
) -> KeyCheck:
    """Check a checkpoint's entries against the model's shapes; weights have the checkpoint's
    names."""
    check = KeyCheck(model)
    prefixed = any(name.startswith(names.prefix) for name in entries)
    for target, shape in expected.items():
        if target not in renamed.sources:
            source = names.source_of(target) or target
            check.missing(source if prefixed else source.removeprefix(names.prefix), shape)
    for target, source in renamed.sources.items():
        actual = shape_of(entries[source])
        if target not in expected:
            check.unexpected(source, actual)
        elif actual != expected[target]:
            check.misshapen(source, actual, expected[target])
    for source in (*renamed.unknown, *renamed.doubled):
        check.unexpected(source, shape_of(entries[source]))
    return check


def check_converted(
    model: str, actual: Mapping[str, Shape | str], expected: Mapping[str, Shape]
) -> KeyCheck:
    """Check weights under the model's own names against the model's shapes."""
    check = KeyCheck(model)
    for name, shape in expected.items():
        if name not in actual:
            check.missing(name, shape)
    for name, shape in actual.items():
        if name not in expected:
            check.unexpected(name, shape)
        elif shape != expected[name]:
            check.misshapen(name, shape, expected[name])
    return check


def shape_of(entry: Any) -> Shape | str:
    """Return the shape of a tensor; what it is, in words, for anything else."""
    if hasattr(entry, "shape"):
        return tuple(int(length) for length in entry.shape)
    return f"a {type(entry).__name__}, no tensor"


def _shape_text(shape: Shape | str) -> str:
    return shape if isinstance(shape, str) else str(list(shape))
