"""Options that every kind of pull has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PullOptions:
    """The folder that a pull writes to, and what it asks and prints.

    Attributes:
        output: None: a folder named after the repository.
    """

    output: Path | None
    yes: bool
    dry_run: bool
    json_output: bool
