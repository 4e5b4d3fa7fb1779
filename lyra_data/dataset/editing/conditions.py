"""Evaluate conditions on a view, such as "known_fraction >= 0.6 and trajectory in ['left', 'up']".

A small part of Python's grammar, read by `ast` and never run: names of columns, numbers, texts,
True, False, None, lists, comparisons, and, or, not.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lyra_data.engine.errors import InputError

Evaluate = Callable[[Mapping[str, Any]], Any]

COMPARISONS: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class Condition:
    """A condition on a view.

    A number that could not be measured, or is NaN, is None; no ordered comparison with it holds.

    Attributes:
        columns: that it reads.

    Raises:
        InputError: it is no condition, or names no column.
    """

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self.text = text
        self._known = columns
        self.columns: set[str] = set()
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._wrong(f"it cannot be read: {getattr(error, 'msg', error)}") from None
        self._evaluate = self._built(tree.body)

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Return whether it holds for a row.

        Raises:
            InputError: values cannot be compared, or the result is neither true nor false.
        """
        try:
            truth = self._evaluate(row)
        except TypeError as error:
            raise self._wrong(f"it compares what cannot be compared: {error}") from None
        if not isinstance(truth, bool):
            raise self._wrong(f"it gives {truth!r}, which is neither true nor false")
        return truth

    def _built(self, node: ast.AST) -> Evaluate:
        if isinstance(node, ast.Constant) and (
            node.value is None or isinstance(node.value, bool | int | float | str)
        ):
            value = node.value
            return lambda row: value  # noqa: ARG005
        if isinstance(node, ast.Name):
            return self._column(node.id)
        if isinstance(node, ast.List | ast.Tuple):
            parts = [self._built(part) for part in node.elts]
            return lambda row: [part(row) for part in parts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._built(node.operand)
            return lambda row: -inner(row)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._built(node.operand)
            return lambda row: not _truth(inner(row))
        if isinstance(node, ast.BoolOp):
            parts = [self._built(part) for part in node.values]
            every = all if isinstance(node.op, ast.And) else any
            return lambda row: every(_truth(part(row)) for part in parts)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        raise self._wrong(f"{ast.unparse(node)!r} is no part of a condition")

    def _column(self, name: str) -> Evaluate:
        if name not in self._known:
            raise self._wrong(f"there is no column {name!r}")
        self.columns.add(name)
        return lambda row: _stated(row[name])

    def _comparison(self, node: ast.Compare) -> Evaluate:
        sides = [self._built(side) for side in (node.left, *node.comparators)]
        kinds = [type(kind) for kind in node.ops]

        def compare(row: Mapping[str, Any]) -> bool:
            values = [side(row) for side in sides]
            return all(
                _compared(kind, one, other)
                for kind, one, other in zip(kinds, values, values[1:], strict=False)
            )

        return compare

    def _wrong(self, what: str) -> InputError:
        return InputError(
            f"the condition {self.text!r}: {what}",
            where="--where",
            fix="write e.g. \"known_fraction >= 0.6 and trajectory != 'up'\"; columns: "
            f"{', '.join(self._known)}",
        )


def _stated(value: Any) -> Any:
    """Return None for NaN, which stands in converted datasets for what is not stated."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _compared(kind: type, one: Any, other: Any) -> bool:
    if kind in ORDERED and (one is None or other is None):
        return False
    return bool(COMPARISONS[kind](one, other))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
