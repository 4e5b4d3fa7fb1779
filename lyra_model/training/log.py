"""Log a phase: a line of JSON for every step and every validation, as they happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import storage_errors, write_atomically
from lyra_data.engine.documents import parse_json


class TrainingLog:
    """Lines of JSON in one file, each with an `event` ("step" or "validation") and its `step`.

    A line is written at once and flushed, so a kill loses the running line at most. Times are in
    it, so its bytes differ from run to run; the history of a checkpoint has none and does not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def go_on_after(self, step: int) -> None:
        """Drop the lines of later steps, which are about to be taken again, and a cut last line.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        kept = [row for row in self.rows() if row["step"] <= step]
        with write_atomically(self.path) as temporary:
            temporary.write_text("".join(map(_line, kept)))

    def append(self, row: dict[str, Any]) -> None:
        """Write one line.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        with storage_errors(self.path), self.path.open("a") as file:
            file.write(_line(row))

    def rows(self) -> list[dict[str, Any]]:
        """Return all whole lines, first to last; none where there is no file.

        A damaged line is left out: the log is for people, and no result depends on it.
        """
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().splitlines()
        return [row for line in lines if (row := _parsed(line))]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Parse a line; return None for one that a kill cut short or a disk damaged."""
    try:
        row = parse_json(line, allow_nan=True)
    except ValueError:
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


def in_words(row: dict[str, Any]) -> str:
    """Return the figures of a step as words beside the progress bar."""
    return (
        f"loss {row['loss']:.4f}, {row['psnr']:.1f} dB, gradient {row['gradient_norm']:.3g}, "
        f"{row['frames_per_second']:.1f} frames/s"
    )
