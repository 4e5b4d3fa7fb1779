"""Progress of an upload in bytes, whichever way the Hub's client sends them."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from lyra_data.engine.progress import Progress
from lyra_data.sharing.publishing.publication import PublishedFile

logger = logging.getLogger(__name__)

MIB = 2**20


class UploadBar:
    """Bytes of all files as one bar of whole MiB. Threads may use it at once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._size = self._finished = 0
        self._done: set[str] = set()
        self._positions: dict[str, int] = {}  # of the files under way
        self._advanced = 0
        self._is_comparing = False

    def start(self, num_bytes: int) -> None:
        """Begin a bar of so many bytes."""
        self._end_comparison()
        self._size, self._finished, self._advanced = num_bytes, 0, 0
        self._done, self._positions = set(), {}
        self._progress.start("Uploading", max(-(-num_bytes // MIB), 1), "MiB")

    def compare(self) -> None:
        """Begin a bar of the time before and after the upload."""
        self._end_comparison()
        self._progress.start("Comparing with the Hub", 1, "listing")
        self._is_comparing = True

    def end(self) -> None:
        """End the last bar."""
        self._end_comparison()
        self._progress.finish()

    def _end_comparison(self) -> None:
        if self._is_comparing:
            self._progress.advance()
            self._is_comparing = False

    def report(self, line: str) -> None:
        """Show a line, such as a wait and its reason."""
        logger.info("%s", line)
        self._progress.advance(0, line)

    def at(self, name: str, position: int) -> None:
        """Say how far a file has been read; reading it again counts once, and so does a file that
        travels inside the commit after all."""
        with self._lock:
            if name in self._done:
                return
            self._positions[name] = max(self._positions.get(name, 0), position)
            self._advance(name)

    def finish(self, files: Iterable[PublishedFile], note: str) -> None:
        """Count files whole: sent, or there already."""
        with self._lock:
            self._positions = {}
            for file in files:
                self._done.add(file.path)
                self._finished += file.size
            self._advance(note)

    def _advance(self, note: str) -> None:
        num_bytes = min(self._finished + sum(self._positions.values()), self._size)
        # The last part of a MiB counts as one when all is there.
        total = -(-num_bytes // MIB) if num_bytes >= self._size else num_bytes // MIB
        if total > self._advanced or note:
            self._progress.advance(max(total - self._advanced, 0), note)
            self._advanced = max(total, self._advanced)


class CountedReader(io.BufferedReader):
    """A file that tells the bar how far it has been read."""

    def __init__(self, path: Path, name: str, bar: UploadBar) -> None:
        super().__init__(io.FileIO(path))
        self._published_name, self._bar = name, bar

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._bar.at(self._published_name, self.tell())
        return data


@contextmanager
def bars_of_the_client(bar: UploadBar) -> Iterator[None]:
    """Keep the Hub's client from drawing bars of its own; that of the Xet client reports to
    ours."""
    from huggingface_hub.utils import _xet_progress_reporting
    from huggingface_hub.utils._runtime import is_xet_available

    former = _xet_progress_reporting.XetUploadProgressReporter
    was_disabled = are_progress_bars_disabled()

    class Reporter:
        """Takes the place of the client's own."""

        def update_progress(self, group: Any, _items: Any = None) -> None:
            bar.at("", group.total_bytes_completed)

        def close(self) -> None:
            return

    _xet_progress_reporting.XetUploadProgressReporter = Reporter  # type: ignore[misc]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HF_HUB_DISABLE_PROGRESS_BARS decides, where it is set
        if is_xet_available():
            enable_progress_bars()  # else the Xet client reports nothing
        else:
            disable_progress_bars()
    try:
        yield
    finally:
        _xet_progress_reporting.XetUploadProgressReporter = former  # type: ignore[misc]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (disable_progress_bars if was_disabled else enable_progress_bars)()
