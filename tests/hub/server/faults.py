"""Faults that a test asks the server for, drawn by a seed where they are random."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "status",
    "slow",
    "cut_request",
    "cut_answer",
    "lose_answer",
    "stale_parent",
    "alter_request",
    "alter_answer",
]


@dataclass
class Fault:
    """A rule: which requests fail, and in which way.

    Attributes:
        kind: status: refuse with `status`, before anything is done. slow: wait `seconds` first.
            cut_request: cut the connection when `num_bytes` of the body have arrived.
            cut_answer: cut it when `num_bytes` of the answer's body were sent.
            lose_answer: do what is asked, then cut the connection without an answer.
            stale_parent: refuse a commit with 412, as if another one had come first.
            alter_request, alter_answer: change the last byte of the body.
        on: regular expression, searched in "METHOD /path", the path unquoted.
        times: how often it happens; None: always.
        after: matching requests that pass before the first fault.
        chance: of happening, drawn by the seed, the request and how often it was made.
        retry_after: seconds of a Retry-After header.
        num_bytes: None: drawn, from nothing to the whole body.
    """

    kind: Kind
    on: str = ""
    times: int | None = 1
    after: int = 0
    chance: float = 1.0
    status: int = 503
    retry_after: int | None = None
    num_bytes: int | None = None
    seconds: float = 0.0
    happened: int = 0


class Faults:
    """All faults of a server.

    Attributes:
        rules: `add` appends to it; `rules.clear()` ends all of them.
        cut_after: bytes after which a large file's download breaks off; afterwards the storage
            answers 503 until `is_cut` is cleared. None: it behaves.
        stall: instead of breaking off, keep the connection open and silent.
        alter: send large files with their last byte changed.
        endless: send large files and go on (at most 300 MB), without saying how long they are.
        stop: set when the server ends.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.rules: list[Fault] = []
        self.cut_after: int | None = None
        self.stall = self.alter = self.endless = False
        self.is_cut, self.stop = threading.Event(), threading.Event()
        self._asked: Counter[str] = Counter()

    def add(self, kind: Kind, on: str = "", **settings: object) -> Fault:
        fault = Fault(kind, on, **settings)  # type: ignore[arg-type]
        self.rules.append(fault)
        return fault

    def drawn(self, request: str) -> list[Fault]:
        """Return the faults of a request, "METHOD /path", and count it."""
        self._asked[request] += 1
        return [
            rule
            for number, rule in enumerate(list(self.rules))
            if re.search(rule.on, request) and self._happens(rule, number, request)
        ]

    def _happens(self, rule: Fault, number: int, request: str) -> bool:
        if rule.after > 0:
            rule.after -= 1
            return False
        if rule.times is not None and rule.happened >= rule.times:
            return False
        if self.draw(request, f"rule {number}") >= rule.chance:
            return False
        rule.happened += 1
        return True

    def draw(self, request: str, purpose: str) -> float:
        """Return a number from 0 to 1 that the seed, the request and its count decide."""
        words = f"{self.seed}\0{request}\0{self._asked[request]}\0{purpose}"
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "big") / 2**48
