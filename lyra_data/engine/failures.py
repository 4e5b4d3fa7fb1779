"""Failures: scenes that could not be processed, with the reason, and how many are too many."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from lyra_data.engine.errors import LyraError, ScenesFailedError


@dataclass(frozen=True)
class Failure:
    """One scene (or view) that failed, and why.

    Attributes:
        kind: the error's class, or "WorkerDied".
        reason: what is wrong, after the file or the key it was found in.
        fix: what the user can do about it; "" where that is unknown.
        attempts: how often it was tried in vain; more than once where its workers died.
    """

    item: str
    kind: str
    reason: str
    fix: str = ""
    attempts: int = 1

    @staticmethod
    def of(item: str, error: LyraError) -> Failure:
        scene = (error.where or "").removeprefix("scene ")
        is_named = not scene or f"{item}/".startswith(f"{scene}/")
        reason = error.what if is_named else f"{error.where}: {error.what}"
        return Failure(item, type(error).__name__, reason, error.fix or "")

    @staticmethod
    def unexpected(item: str, error: Exception) -> Failure:
        """Describe a fault of the program: its type and its last line; the traceback belongs in a
        log."""
        last_line = (str(error).strip().splitlines() or ["(no message)"])[-1]
        kind = type(error).__name__
        return Failure(item, kind, f"{kind}: {last_line}")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """Return item, reason and fix, in lines of which all but the first are indented."""
        reason, *more = self.reason.splitlines()
        often = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        lines = [f"{self.item}: {reason}{often}", *more]
        return "\n  ".join([*lines, f"Fix: {self.fix}"] if self.fix else lines)


FAILURES_FILE = "failures.json"

MOST_LISTED = 20
"""Reasons that an error message lists; the rest is counted."""


def record_failures(failures: list[Failure], folder: Path) -> None:
    """Write all failures, of which there may be none, as `<folder>/failures.json`."""
    text = json.dumps([failure.as_json() for failure in failures], indent=2, ensure_ascii=False)
    (folder / FAILURES_FILE).write_text(text + "\n", encoding="utf-8")


def check_failures(
    failures: list[Failure],
    total: int,
    max_failed_fraction: float,
    *,
    listed_in: Path | None = None,
    retry: str = "",
    fix: str | None = None,
) -> None:
    """Accept a few failures, refuse too many.

    Args:
        listed_in: file that holds all reasons, named where the message cannot.
        retry: how to try them again once mended, ends the fix.
        fix: where params allow no failure; None: what there is to do where they may.

    Raises:
        ScenesFailedError: more than `max_failed_fraction` of `total` failed, or all of them.
    """
    if not failures:
        return
    if len(failures) < total and len(failures) <= max_failed_fraction * total:
        return
    listed = failures[:MOST_LISTED]
    reasons = "\n".join(indent(str(failure), "  ") for failure in listed)
    where = ", ".join(failure.item for failure in listed)
    if len(failures) > MOST_LISTED:
        rest = f"and {len(failures) - MOST_LISTED} more"
        reasons += f"\n  {rest}" + (f", all in {listed_in}" if listed_in else "")
        where += f" {rest}"
    allowed = f", params allow {max_failed_fraction:.0%}" if fix is None else ""
    raise ScenesFailedError(
        f"{len(failures)} of {total} failed{allowed}:\n{reasons}",
        where=where,
        fix=(fix or "mend what is listed, remove those scenes, or raise max_failed_fraction")
        + (f"; {retry}" if retry else ""),
    )
