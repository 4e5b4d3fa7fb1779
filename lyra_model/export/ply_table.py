"""The table of a PLY file: its header, and the numbers of its vertices by name.

A header is text of the file's: it is checked before memory is taken for what it promises. Numbers
may be of any type and either byte order, or ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file
from lyra_data.engine.names import shortened

MAX_HEADER_BYTES = 1 << 18
FIX = "give a .ply of 3D Gaussian splatting"

_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1"},
    **{"short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2"},
    **{"int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4"},
    **{"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}
_END = re.compile(rb"^end_header[ \t]*\r?\n", re.MULTILINE)
_MOST_DIGITS = 15  # of a count: more than any disk holds, and exact as a float


@dataclass(frozen=True)
class PlyElement:
    """A kind of row.

    Attributes:
        properties: name and numpy type of every number; None for the type of a list.
    """

    name: str
    count: int
    properties: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class PlyTable:
    """Vertices of a PLY file.

    Attributes:
        columns: numbers of all vertices by property, as the file has them.
        types: numpy type of every property.
        format: "ascii", "binary_little_endian" or "binary_big_endian".
        comments: of the header, without the word comment.
        elements: everything that the header names.
    """

    columns: dict[str, np.ndarray]
    types: dict[str, str]
    format: str
    comments: tuple[str, ...]
    elements: tuple[PlyElement, ...]

    def __len__(self) -> int:
        return next(element.count for element in self.elements if element.name == "vertex")


def read_ply_table(path: Path) -> PlyTable:
    """Read the vertices of a PLY file.

    Raises:
        InputError: no PLY, a header that cannot be, or it is cut.
    """
    require_regular_file(path)
    if path.is_dir():
        raise InputError("this is a folder, not a PLY file", where=str(path), fix=FIX)
    if not path.exists():
        raise InputError("there is no such file", where=str(path), fix=FIX)
    with file_at_fault(path, kind="PLY file", fix=FIX):
        with path.open("rb") as file:
            beginning = file.read(MAX_HEADER_BYTES)
        lines, start = _header_lines(beginning, path)
        kind, comments, elements = _parse(lines, path)
        types, columns = _vertices(path, start, kind, elements)
    return PlyTable(columns, types, kind, comments, elements)


def _header_lines(beginning: bytes, path: Path) -> tuple[list[str], int]:
    """Return the lines of the header without its first and last, and its length in bytes."""
    end = _END.search(beginning)
    if not re.match(rb"ply[ \t]*\r?\n", beginning) or end is None:
        raise InputError("not a PLY file", where=str(path), fix=FIX)
    text = beginning[: end.start()]
    if re.search(rb"[^\t\n\r\x20-\x7e\x80-\xff]", text):
        raise InputError("its header holds bytes that are no text", where=str(path), fix=FIX)
    return text.decode("ascii", errors="replace").splitlines()[1:], end.end()


def _parse(lines: list[str], path: Path) -> tuple[str, tuple[str, ...], tuple[PlyElement, ...]]:
    """Return the format, the comments and the elements of a header."""
    kind: str | None = None
    comments: list[str] = []
    elements: list[PlyElement] = []
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] in ("comment", "obj_info"):
            comments.append(line.strip().partition(" ")[2].strip())
        elif words[0] == "format" and len(words) == 3 and words[1] in _FORMATS:
            kind = words[1]
        elif words[0] == "element" and len(words) == 3:
            elements.append(PlyElement(words[1], _count(words[2], path), ()))
        elif words[0] == "property" and elements and (entry := _property(words)):
            last = elements[-1]
            if entry[0] in dict(last.properties):
                raise InputError(
                    f"property {shortened(entry[0])} stands there twice", where=str(path), fix=FIX
                )
            elements[-1] = PlyElement(last.name, last.count, (*last.properties, entry))
        else:
            raise InputError(
                f"a line of its header cannot be read: {shortened(line.strip())}",
                where=str(path),
                fix=FIX,
            )
    if kind is None:
        raise InputError("its header names no format", where=str(path), fix=FIX)
    if [element.name for element in elements].count("vertex") != 1:
        raise InputError(
            "its elements are not vertices, but: "
            + (shortened(", ".join(element.name for element in elements)) if elements else "none"),
            where=str(path),
            fix=FIX,
        )
    return kind, tuple(comments), tuple(elements)


def _count(word: str, path: Path) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS):
        raise InputError(f"{shortened(word)} is no number of elements", where=str(path), fix=FIX)
    return int(word)


def _property(words: list[str]) -> tuple[str, str | None] | None:
    """Return name and type of a property line; the type of a list is None."""
    if len(words) == 3 and words[1] in _TYPES:
        return words[2], _TYPES[words[1]]
    if len(words) == 5 and words[1] == "list" and {words[2], words[3]} <= set(_TYPES):
        return words[4], None
    return None


def _vertices(
    path: Path, start: int, kind: str, elements: tuple[PlyElement, ...]
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return types and numbers of the vertices by property."""
    before = elements[: [element.name for element in elements].index("vertex")]
    vertex = elements[len(before)]
    types = {name: type_ for name, type_ in vertex.properties if type_ is not None}
    has_lists = len(types) < len(vertex.properties) or any(
        type_ is None for element in before for _, type_ in element.properties
    )
    if has_lists or not types:
        raise InputError(
            "its vertices are no rows of numbers, or lists stand before them",
            where=str(path),
            fix=FIX,
        )
    if kind == "ascii":
        return types, _ascii_columns(path, start, before, vertex)
    order = _FORMATS[kind]
    offset = start + sum(element.count * _row_bytes(element) for element in before)
    needed, available = offset + vertex.count * _row_bytes(vertex), path.stat().st_size
    if available < needed:
        raise InputError(
            f"{available} bytes, {needed} expected for {vertex.count} vertices",
            where=str(path),
            fix="the file was cut; export or copy it again",
        )
    dtype = np.dtype([(name, order + type_) for name, type_ in types.items()])
    table = np.fromfile(path, dtype, vertex.count, offset=offset)
    return types, {name: table[name] for name in types}


def _row_bytes(element: PlyElement) -> int:
    return sum(np.dtype(type_).itemsize for _, type_ in element.properties if type_ is not None)


def _ascii_columns(
    path: Path, start: int, before: tuple[PlyElement, ...], vertex: PlyElement
) -> dict[str, np.ndarray]:
    """Return the numbers of an ASCII file's vertices by property."""
    skipped = sum(element.count * len(element.properties) for element in before)
    needed = skipped + vertex.count * len(vertex.properties)
    body = path.stat().st_size - start
    numbers = np.empty(0)
    if 2 * needed - 1 <= body:  # a digit and a space each, or it cannot be whole
        numbers = np.fromstring(path.read_bytes()[start:], dtype=float, count=needed, sep=" ")
    if len(numbers) < needed:
        raise InputError(
            f"{body} characters, too few for {vertex.count} vertices of "
            f"{len(vertex.properties)} numbers",
            where=str(path),
            fix="the file was cut; export or copy it again",
        )
    table = numbers[skipped:].reshape(vertex.count, -1)
    return {name: table[:, i] for i, (name, _) in enumerate(vertex.properties)}
