"""JSON and YAML of unknown origin: one reading, bounded in depth, in size and in its numbers.

Python's own readers accept more than a document needs: JSON a thousand levels deep, integers of
hundreds of digits that no number format holds, YAML that names a key twice and keeps the last one,
YAML of a few lines whose references expand to gigabytes. Each of these is refused here, once.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lyra_data.engine.errors import CorruptDataError, LyraError
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file

MAX_DEPTH = 64
"""Levels of lists and mappings inside one another; the deepest of ours has 6."""

MAX_JSON_BYTES = 512 * 2**20
"""A document is held in memory about ten times its size; the largest real one, a nerfstudio scene
of 100,000 frames, has 80 MB."""

MAX_YAML_BYTES = 8 * 2**20
MAX_YAML_NODES = 200_000
"""Keys, values and list entries, each reference counted as often as it is used."""

_LARGEST_INTEGER = 2**64
Built = TypeVar("Built")
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)


def parse_json(data: bytes | str, *, allow_nan: bool = False) -> Any:
    """Return the values of a JSON document.

    Raises:
        ValueError: it is no JSON, no UTF-8, deeper than MAX_DEPTH, larger than MAX_JSON_BYTES, or
            names a key twice, holds an integer beyond 64 bits, a number that overflows, or (unless
            `allow_nan`) NaN or Infinity.
    """
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"its {len(data)} bytes are more than the {MAX_JSON_BYTES} allowed")
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    if _depth_of_json(text) > MAX_DEPTH:
        raise ValueError(f"its parts are nested more than {MAX_DEPTH} deep")
    return json.loads(
        text,
        object_pairs_hook=_object_of,
        parse_int=_bounded_integer,
        parse_float=_finite_number,
        parse_constant=None if allow_nan else _refuse_constant,
    )


def read_json(
    path: Path,
    *,
    kind: str,
    fix: str,
    error: type[LyraError] = CorruptDataError,
    allow_nan: bool = False,
) -> Any:
    """Return the values of a JSON file; its top level may be anything.

    Args:
        kind: the kind of file, for the message, e.g. "manifest".
        fix: what the user can do where it cannot be read.

    Raises:
        CorruptDataError (or `error`): as `parse_json`.
        OSError: there is no such file, or it may not be read.
    """
    require_regular_file(path, error)
    with file_at_fault(path, kind=kind, fix=fix, error=error):
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"its {path.stat().st_size} bytes are more than any such file needs")
        return parse_json(path.read_bytes(), allow_nan=allow_nan)


def read_json_object(
    path: Path,
    *,
    kind: str,
    fix: str,
    error: type[LyraError] = CorruptDataError,
    allow_nan: bool = False,
) -> dict[str, Any]:
    """Return the values of a JSON file whose top level is an object, as nearly all of ours are.

    Raises:
        CorruptDataError (or `error`): as `read_json`, or its top level is anything else.
        OSError: there is no such file, or it may not be read.
    """
    values = read_json(path, kind=kind, fix=fix, error=error, allow_nan=allow_nan)
    if not isinstance(values, dict):
        raise error(
            f"not a readable {kind}: an object is expected, not {type(values).__name__}",
            where=str(path),
            fix=fix,
        )
    return values


def build_from_json(
    path: Path,
    build: Callable[[Any], Built],
    *,
    kind: str,
    fix: str,
    error: type[LyraError] = CorruptDataError,
) -> Built:
    """Return what `build` makes of the values of a JSON file; any error in it is the file's fault.

    Raises:
        CorruptDataError (or `error`): as `read_json`, or `build` raised anything.
        OSError: as `read_json`.
    """
    values = read_json(path, kind=kind, fix=fix, error=error, allow_nan=True)
    with file_at_fault(path, kind=kind, fix=fix, error=error):
        return build(values)


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML document of plain values.

    Raises:
        ValueError (yaml.YAMLError is turned into it): it is no YAML, deeper than MAX_DEPTH, larger
            than MAX_YAML_BYTES, expands to more than MAX_YAML_NODES, names a key twice, or writes
            a value in a way that YAML 1.1 and 1.2 read differently (042, 1_000, 1:30, yes, off).
    """
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"its {len(text)} characters are more than the {MAX_YAML_BYTES} allowed")
    try:
        loader = _StrictLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _require_bounded(root)
        return loader.construct_document(root)
    except (yaml.YAMLError, AttributeError, TypeError, LookupError, ArithmeticError) as error:
        # Tags that do not fit their values (`!!timestamp x`) make the library stumble.
        raise ValueError(str(error) or type(error).__name__) from None


def _depth_of_json(text: str) -> int:
    """Return how deep lists and objects are nested, brackets inside strings left out."""
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        first = match[0][0]
        if first in "[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif first in "]}":
            depth -= 1
    return deepest


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice: only one of them would count")
    return values


def _bounded_integer(digits: str) -> int:
    if len(digits) > 21 or abs(int(digits)) >= _LARGEST_INTEGER:
        raise ValueError(f"it holds an integer of {len(digits.lstrip('-'))} digits")
    return int(digits)


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no number")


class _StrictLoader(yaml.SafeLoader):
    """Plain values alone; a key once; numbers that every reader of YAML takes for the same."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise yaml.YAMLError(f"its parts are nested more than {MAX_DEPTH} deep")
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 (the library's)
        # The scanner looks at every open bracket for each token: 100,000 of them take minutes.
        if self.flow_level > MAX_DEPTH:
            raise yaml.YAMLError(f"its parts are nested more than {MAX_DEPTH} deep")
        super().fetch_flow_collection_start(TokenClass)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(
                key_node, yaml.ScalarNode
            ):
                continue
            key, line = key_node.value, key_node.start_mark.line + 1
            if key in lines:
                raise yaml.YAMLError(
                    f"the key {key!r} stands twice, in lines {lines[key]} and {line}: "
                    "only one of them would count"
                )
            lines[key] = line
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: Any) -> int:
        text = self.construct_scalar(node)
        if not re.fullmatch(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)", text):
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: readers of YAML differ over the number {text}; "
                "write it in plain digits without a leading 0, or in quotes if it is a name"
            )
        if len(text) > 21:
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: an integer of {len(text)} digits"
            )
        return super().construct_yaml_int(node)

    def construct_yaml_bool(self, node: Any) -> bool:
        text = self.construct_scalar(node)
        if text.lower() not in ("true", "false"):
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: readers of YAML differ over {text}; write true "
                "or false, or put it in quotes if it is a name"
            )
        return text.lower() == "true"


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
_StrictLoader.add_constructor("tag:yaml.org,2002:bool", _StrictLoader.construct_yaml_bool)


def _require_bounded(root: yaml.Node) -> None:
    """Refuse a document whose references expand to more than MAX_YAML_NODES, or to no end."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size_of(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: a part contains itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            size = 1
            for child in children:
                parts = child if isinstance(child, tuple) else (child,)
                size += sum(size_of(part) for part in parts)
            open_nodes.discard(id(node))
            sizes[id(node)] = size
            if size > MAX_YAML_NODES:
                raise yaml.YAMLError(
                    f"line {node.start_mark.line + 1}: it expands to more than {MAX_YAML_NODES:,} "
                    "values"
                )
        return sizes[id(node)]

    size_of(root)
