"""Running a program to its end: what it says is told while it says it, and kept for its failure."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

NUM_LINES_KEPT = 20
SECONDS_BETWEEN_UPDATES = 5.0
"""A progress bar, redrawn many times a second, is told of this often."""

SECONDS_TO_STOP = 10.0
"""Time that a program has to end by itself once it is asked to; then it is killed."""

FOREIGN_VARIABLES = ("PYTHONPATH", "PYTHONHOME")
"""Variables of our Python, by which one in another environment would find the wrong modules."""

_WATCHER = f"""
import os, signal, sys, time
sys.stdin.buffer.read()
os.killpg(int(sys.argv[1]), signal.SIGTERM)
time.sleep({SECONDS_TO_STOP})
os.killpg(int(sys.argv[1]), signal.SIGKILL)
"""
"""Ends a group once its standard input is closed, as the kernel closes that of the dead."""

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LINE_ENDS = re.compile(rb"[\r\n]")


class Ended(NamedTuple):
    """The end of a program: its exit code, negative for a signal, and the last lines it wrote."""

    exit_code: int
    last_lines: tuple[str, ...]

    @property
    def how(self) -> str:
        if self.exit_code >= 0:
            return f"exit code {self.exit_code}"
        name = signal.Signals(-self.exit_code).name
        return f"killed by {name}" + (", often for lack of memory" if name == "SIGKILL" else "")


def run_to_end(command: Sequence[str], folder: Path, *, label: str) -> Ended:
    """Run `command` in `folder`, without a limit of time, and log what it writes.

    When this is interrupted (ctrl-C), fails or is killed, the program and all that it started are
    ended too: without that, a ViPE would hold the GPU for hours for nobody.

    Args:
        label: put before every line that is logged.

    Raises:
        OSError: it cannot be started.
    """
    variables = {key: value for key, value in os.environ.items() if key not in FOREIGN_VARIABLES}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**variables, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a process group of its own, to be ended as a whole
    )
    lines = _Lines(label)
    watcher = None
    try:
        watcher = _watch_over(process)
        _listen(process, lines)
    finally:
        try:
            _end_group(process)
        finally:
            if watcher is not None:
                _dismiss(watcher)
    return Ended(process.returncode, tuple(lines.kept))


class _Lines:
    """Output of a program, cut into lines; a carriage return ends one, as progress bars do."""

    def __init__(self, label: str) -> None:
        self.kept: deque[str] = deque(maxlen=NUM_LINES_KEPT)
        self._label = label
        self._rest = b""
        self._is_redrawn = False
        self._last_update = -SECONDS_BETWEEN_UPDATES

    def add(self, data: bytes) -> None:
        data = (self._rest + data).replace(b"\r\n", b"\n")
        held = len(data) - 1 if data.endswith(b"\r") else len(data)  # "\n" may be still to come
        start = 0
        for end in _LINE_ENDS.finditer(data, 0, held):
            self._line(data[start : end.start()], is_redrawn=end[0] == b"\r")
            start = end.end()
        self._rest = data[start:]

    def finish(self) -> None:
        self._line(self._rest.rstrip(b"\r"), is_redrawn=False)

    def _line(self, data: bytes, *, is_redrawn: bool) -> None:
        text = _COLOURS.sub("", data.decode("utf-8", errors="replace")).rstrip()
        if not text:
            return
        if self._is_redrawn and self.kept:
            self.kept.pop()  # the bar's former state, drawn over
        self._is_redrawn = is_redrawn
        self.kept.append(text)
        if is_redrawn and time.monotonic() - self._last_update < SECONDS_BETWEEN_UPDATES:
            return
        self._last_update = time.monotonic()
        log.info("%s: %s", self._label, text)


def _listen(process: subprocess.Popen[bytes], lines: _Lines) -> None:
    """Read until the program has ended and nothing is left; a child may hold the pipe open."""
    assert process.stdout is not None
    with process.stdout as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            has_ended = process.poll() is not None
            if selector.select(timeout=0.0 if has_ended else 0.2):
                data = os.read(pipe.fileno(), 1 << 16)
                if data:
                    lines.add(data)
                    continue
                process.wait()
                break
            if has_ended:
                break
    lines.finish()


def _watch_over(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, for as long as it takes to end the program's
    group."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # or ctrl-C would end it first
    )


def _dismiss(watcher: subprocess.Popen[bytes]) -> None:
    """End the watching process before its input is closed: the group's number may be another's by
    now."""
    watcher.kill()
    watcher.wait()
    if watcher.stdin is not None:
        watcher.stdin.close()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the program's group: ask first, then kill."""
    if _signal(process, signal.SIGTERM):
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_STOP)
        finally:  # a second ctrl-C does not wait
            _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Send a signal to the whole group, and return False where nothing is left of it."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
