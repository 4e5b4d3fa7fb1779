"""Locate findings in a clip: which clip, and which of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from lyra_data.engine.findings import Finding

MAX_RUNS = 4
"""Runs of frames that are named in words."""


@dataclass(frozen=True)
class ClipLocation:
    """Frames of a clip.

    Attributes:
        clip: scene_id, or the folder's name where that cannot be read.
        frames: the frames concerned; empty: the whole clip.
    """

    clip: str
    frames: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the frames in words: "clip", "frame 3", "frames 0-4, 7"."""
        if not self.frames:
            return "clip"
        runs = _runs(self.frames)
        named = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:MAX_RUNS])
        rest = ", ..." if len(runs) > MAX_RUNS else ""
        return f"frame{'s' if len(self.frames) > 1 else ''} {named}{rest}"

    def as_json(self) -> dict[str, Any]:
        return {"clip": self.clip, "frames": list(self.frames)}


ClipFinding: TypeAlias = Finding[ClipLocation]


def _runs(frames: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return first and last frame of every run of consecutive frames."""
    runs: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if runs and frame == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], frame)
        else:
            runs.append((frame, frame))
    return runs
