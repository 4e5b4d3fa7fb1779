"""Finding: one thing that a rule holds against a clip."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first. An error makes what is learned from the clip wrong; a warning wants a look; a note
says what could not be judged."""

Kind = Literal["clip", "dataset"]
"""What a rule is about. Those for datasets: lyra_data/dataset/checks/rules.py."""


@dataclass(frozen=True)
class Rule:
    """What is demanded of a kind of thing.

    Attributes:
        name: stable; scripts may rely on it.
        bound: what still passes, in words and numbers.
        meaning: what a finding says about the clip.
        remedy: what its owner can do.
    """

    name: str
    kind: Kind
    severity: Severity
    bound: str
    meaning: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """Something a rule found.

    Attributes:
        clip: scene_id, or the folder's name where that cannot be read.
        frames: the frames concerned; empty: the whole clip.
        value: the worst value, where one number tells it.
        message: one sentence with the value and its unit.
    """

    rule: str
    severity: Severity
    clip: str
    frames: tuple[int, ...]
    value: float | None
    bound: str
    message: str
    remedy: str

    @property
    def where(self) -> str:
        """The frames in words: "clip", "frame 3", "frames 0-4, 7"."""
        if not self.frames:
            return "clip"
        runs = _runs(self.frames)
        shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:4])
        rest = ", ..." if len(runs) > 4 else ""
        return f"frame{'s' if len(self.frames) > 1 else ''} {shown}{rest}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; a value that is no finite number is null."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {**asdict(self), "frames": list(self.frames), "value": value}


def _runs(frames: tuple[int, ...]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if runs and frame == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], frame)
        else:
            runs.append((frame, frame))
    return runs
