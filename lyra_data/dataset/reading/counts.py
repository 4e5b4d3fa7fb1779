"""Count what is decoded and fetched, so that a benchmark can compare it with what was asked for."""

from __future__ import annotations

import threading
from collections import Counter


class ReadingCounts:
    """Counts of one opened dataset since it was opened or `reset`, in this process.

    A copy in another process (pickled, or of a worker) counts for itself.

    Attributes:
        blobs: how often the blob of a view was decoded, by name of the field. Reading twenty frames
            of one view's video in one call decodes one blob.
        parts: frames, maps and whole latents that were decoded, by name of the field; frames back
            to the key frame before them count too.
        num_bytes: bytes read from files: blobs, plain columns and footers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin again from 0."""
        self.blobs: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()
        self.num_bytes = 0

    @property
    def num_blobs(self) -> int:
        """Return how often any blob was decoded."""
        return self.blobs.total()

    @property
    def num_parts(self) -> int:
        """Return how many parts of blobs were decoded."""
        return self.parts.total()

    def add_blob(self, field: str, num_parts: int) -> None:
        """Count one decoded blob, of which `num_parts` parts were decoded."""
        with self._lock:
            self.blobs[field] += 1
            self.parts[field] += num_parts

    def add_bytes(self, num_bytes: int) -> None:
        """Count bytes that were read from files."""
        with self._lock:
            self.num_bytes += num_bytes

    def __reduce__(self) -> tuple[type[ReadingCounts], tuple[()]]:
        return ReadingCounts, ()  # a lock cannot be pickled
