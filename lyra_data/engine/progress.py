"""Progress: how long work tells what it has done, without knowing who listens."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """One bar at a time. The CLI draws it; libraries and tests use `silent`."""

    def start(self, description: str, total: int, unit: str) -> None:
        """Begin a piece of work of `total` units, e.g. ("Generating", 6, "views")."""
        ...

    def advance(self, count: int = 1, note: str = "") -> None:
        """Advance by `count` units; `note` is a short state, e.g. "loss 0.021"."""
        ...

    def finish(self) -> None:
        """Finish the piece of work."""
        ...


class SilentProgress:
    """Tells nobody."""

    def start(self, description: str, total: int, unit: str) -> None:
        pass

    def advance(self, count: int = 1, note: str = "") -> None:
        pass

    def finish(self) -> None:
        pass


silent: Progress = SilentProgress()
