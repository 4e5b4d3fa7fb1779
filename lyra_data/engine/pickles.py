"""Pickles of others, looked at before they are unpickled: bounded nesting, plain keys, near memos.

Even a reader that allows only a few names runs what the pickle's operations ask for. Three of them
cost without bound: a key made of tuples within tuples, each twice in the next, takes 2^n steps to
hash; parts nested 200,000 deep overflow the stack of whatever walks them; a memo at place 2^32
makes room for all places before it. The operations are walked here as numbers, nothing is built.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAX_NESTING = 100
"""Levels of tuples, lists, mappings and objects; a released checkpoint has 12."""

MAX_TUPLE_SIZE = 100_000
"""Numbers and texts in a tuple and the tuples inside it, each counted as often as it is hashed."""

NUM_LEGACY_PICKLES = 5
"""Pickles in a row in torch's format before 1.6: magic, version, system, objects, storage keys."""


@dataclass
class _Part:
    """Stands for one object: how deep it is, and how many values hashing it would visit.

    Attributes:
        depth: levels of parts inside it, 0 for a number or a text.
        hash_size: values visited by its hash; 0 where it has none (lists, mappings).
        is_plain: a number, a text, bytes, None or a truth value.
    """

    depth: int = 0
    hash_size: int = 1
    is_plain: bool = False


class _Mark:
    """Stands for the place on the stack from which a later operation takes everything."""


def refuse_endless_pickle(data: bytes) -> None:
    """Raise ValueError where unpickling `data` could take time, memory or stack without bound.

    Raises:
        ValueError: it is no pickle, is cut, nests deeper than MAX_NESTING, has a key that is
            neither number nor text, a set, an extension, or a memo further off than its writers
            number them (one by one).
    """
    _Walk().run(io.BytesIO(data))


def refuse_endless_checkpoint(file: Path | BinaryIO) -> None:
    """Raise ValueError where a checkpoint of torch's holds a pickle that `refuse_endless_pickle`
    refuses, in its zip container or in the older row of pickles.

    Raises:
        ValueError: as `refuse_endless_pickle`, or the file is neither of both.
        zipfile.BadZipFile: its directory cannot be read.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            refuse_endless_checkpoint(opened)
        return
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                # torch looks for data.pkl without regard to capitals.
                if entry.filename.lower().endswith(".pkl"):
                    if entry.compress_type != zipfile.ZIP_STORED:
                        raise ValueError(f"{entry.filename} is compressed, which torch never does")
                    refuse_endless_pickle(archive.read(entry))
        return
    file.seek(0)
    for _ in range(NUM_LEGACY_PICKLES):
        _Walk().run(file)


class _Walk:
    """Walks the operations of one pickle with stand-ins on its stack."""

    def __init__(self) -> None:
        self._stack: list[_Part | _Mark] = []
        self._memo: dict[int, _Part] = {}

    def run(self, file: BinaryIO) -> None:
        for index, (operation, argument, _) in enumerate(pickletools.genops(file)):
            try:
                self._step(operation.name, argument, index)
            except (IndexError, KeyError):
                raise ValueError(f"its {operation.name} finds nothing to act on") from None

    def _step(self, name: str, argument: Any, index: int) -> None:
        if name in _PLAIN:
            self._stack.append(_Part(is_plain=True))
        elif name == "MARK":
            self._stack.append(_Mark())
        elif name in ("PROTO", "FRAME", "STOP"):
            pass
        elif name in _EMPTY:
            self._stack.append(_Part(depth=1, hash_size=int(name == "EMPTY_TUPLE")))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            self._tuple([self._pop() for _ in range(int(name[-1]))])
        elif name == "TUPLE":
            self._tuple(self._pop_to_mark())
        elif name in ("LIST", "DICT"):
            parts = self._pop_to_mark()
            if name == "DICT":
                _require_plain(parts[::2])
            self._stack.append(_bounded(_around(parts, hash_size=0)))
        elif name in ("APPEND", "BUILD"):
            self._grow([self._pop()])
        elif name == "APPENDS":
            self._grow(self._pop_to_mark())
        elif name == "SETITEM":
            value, key = self._pop(), self._pop()
            _require_plain([key])
            self._grow([value])
        elif name == "SETITEMS":
            parts = self._pop_to_mark()
            _require_plain(parts[::2])
            self._grow(parts[1::2])
        elif name == "GLOBAL":
            self._stack.append(_Part())
        elif name in ("STACK_GLOBAL", "REDUCE", "NEWOBJ"):
            self._stack.append(_bounded(_around([self._pop(), self._pop()])))
        elif name == "BINPERSID":
            self._stack.append(_bounded(_around([self._pop()])))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if int(argument) > index:
                raise ValueError(f"it remembers something at place {argument}, after {index} steps")
            self._memo[int(argument)] = self._top()
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[int(argument)])
        elif name == "POP":
            self._stack.pop()
        elif name == "POP_MARK":
            self._pop_to_mark()
        elif name == "DUP":
            self._stack.append(self._top())
        else:  # sets, extensions, buffers and old ways to make objects: no such file needs them
            raise ValueError(f"it uses {name}, which arrays and weights have no need of")

    def _tuple(self, parts: list[_Part]) -> None:
        sizes = [part.hash_size for part in parts]
        size = 1 + sum(sizes) if all(sizes) else 0
        if size > MAX_TUPLE_SIZE:
            raise ValueError("its tuples hold one another too many times")
        self._stack.append(_bounded(_around(parts, hash_size=size)))

    def _grow(self, parts: list[_Part]) -> None:
        container = self._top()
        container.depth = max([container.depth, *(part.depth + 1 for part in parts)])
        _bounded(container)

    def _pop(self) -> _Part:
        part = self._stack.pop()
        if isinstance(part, _Mark):
            raise ValueError("an operation reaches beyond a mark")
        return part

    def _top(self) -> _Part:
        part = self._stack[-1]
        if isinstance(part, _Mark):
            raise ValueError("an operation reaches beyond a mark")
        return part

    def _pop_to_mark(self) -> list[_Part]:
        parts: list[_Part] = []
        while not isinstance(part := self._stack.pop(), _Mark):
            parts.append(part)
        return parts[::-1]


_PLAIN = frozenset(
    (
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "NONE", "NEWTRUE", "NEWFALSE", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
        "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    )
)  # fmt: skip
_EMPTY = ("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT")


def _around(parts: list[_Part], *, hash_size: int = 1) -> _Part:
    return _Part(depth=1 + max((part.depth for part in parts), default=0), hash_size=hash_size)


def _bounded(part: _Part) -> _Part:
    if part.depth > MAX_NESTING:
        raise ValueError(f"its parts are nested more than {MAX_NESTING} deep")
    return part


def _require_plain(keys: list[_Part]) -> None:
    if not all(key.is_plain for key in keys):
        raise ValueError("a key of its mappings is neither a number nor a text")
