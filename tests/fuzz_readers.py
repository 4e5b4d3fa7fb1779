"""Give every reader of foreign files damaged and hostile inputs, and count what comes of them.

    python -m tests.fuzz_readers          # all readers, 2,000 inputs: docs/reliability.md
    python -m tests.fuzz_readers NAME...  # some of them

Every reader runs in a process of its own, so that a crash ends that process alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lyra_data.engine.errors import LyraError
from tests.foreign_readers import READERS, damaged

INPUTS = 2_000
SLOW_SECONDS = 10
HANG_SECONDS = 60
"""After which a reader is stopped; a busy machine takes a while for what takes milliseconds."""
MEMORY_BYTES = 10**9


class HangError(BaseException):
    """A reader did not end in time; no reader's own guard catches it."""


@dataclass(frozen=True)
class Answer:
    """What one input came to.

    Attributes:
        outcome: "refused" in words, "read", "wrong" (a sealed file taken for another value), the
            name of any other exception, or "hang".
        seconds: processor time.
        peak_bytes: most memory of the process until then.
    """

    outcome: str
    seconds: float
    peak_bytes: int
    detail: str = ""


def answers(name: str, folder: Path, rounds: int) -> Iterator[Answer]:
    """Yield what the reader does with each of so many inputs; no input is given twice."""
    reader = READERS[name]
    place = folder / f"of-{time.monotonic_ns()}"
    place.mkdir()
    path = reader.write(place)
    whole = path.read_bytes()
    value = repr(reader.read(path))
    for data in damaged(whole, random.Random(zlib.crc32(name.encode())), rounds):
        path.write_bytes(data)
        began, detail = time.process_time(), ""
        try:
            with _no_hang():
                answer = reader.read(path)
            is_same = not reader.is_sealed or repr(answer) == value  # a blank may have changed
            outcome = "read" if is_same else "wrong"
        except LyraError as error:
            outcome = "refused" if error.where and error.fix else "told without place or fix"
        except HangError:
            outcome = "hang"
        except Exception as error:  # what is counted here
            outcome, detail = type(error).__name__, str(error)[:200]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        yield Answer(outcome, time.process_time() - began, peak, detail)


@contextmanager
def _no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise HangError

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def _row(name: str, rounds: int) -> str:
    """Return a line of the table: one reader in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "answers.jsonl"
        child = os.fork()  # with all that is imported, and nothing that has run
        if not child:
            _answer_all(name, rounds, Path(folder), told)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lines = told.read_text().splitlines() if told.is_file() else []
    found = [Answer(**json.loads(line)) for line in lines]
    counts = Counter(answer.outcome for answer in found)
    good = counts.pop("refused", 0), counts.pop("read", 0)
    hangs = counts.pop("hang", 0)
    slow = sum(answer.seconds > SLOW_SECONDS for answer in found)
    crash = f"1 (exit {status})" if status else "0"
    peak = max((answer.peak_bytes for answer in found), default=0)
    others = ", ".join(f"{count} {what}" for what, count in counts.items()) or "0"
    return (
        f"| {name} | {len(found)} | {good[0]} | {good[1]} | {others} | {hangs + slow} | {crash} | "
        f"{peak / 1e6:.0f} MB{' (above 1 GB)' if peak > MEMORY_BYTES else ''} |"
    )


def _answer_all(name: str, rounds: int, folder: Path, told: Path) -> None:
    """Write a line an input, and end the process."""
    status = 1
    try:
        with told.open("w") as file:
            for answer in answers(name, folder, rounds):
                file.write(json.dumps(dataclasses.asdict(answer)) + "\n")
                file.flush()
        status = 0
    finally:
        os._exit(status)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Print the table of all readers, or of those that are named."""
    warnings.simplefilter("ignore")
    names = arguments or list(READERS)
    rounds = -(-INPUTS // len(READERS))
    _tell("| reader | inputs | refused | read | other exceptions | over 10 s | crashes | peak |")
    _tell("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        _tell(_row(name, rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
