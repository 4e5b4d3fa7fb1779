"""DatasetFinding: one thing that a rule holds against a dataset, a scene or a view."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from lyra_data.clips.checks.finding import Finding, Severity
from lyra_data.dataset.checks.rules import DATASET_RULES
from lyra_data.engine.errors import CorruptDataError


@dataclass(frozen=True)
class DatasetFinding:
    """Something a rule found.

    Attributes:
        scene: scene_id; empty: the whole dataset.
        view_index: None: the whole scene.
        frames: the frames concerned; empty: all.
        file: the file concerned; empty: several, or none.
        offset: first byte of the file that is wrong, or of the smallest range that is known to be.
        value: the worst value, where one number tells it.
        message: one sentence with the value and its unit.
    """

    rule: str
    severity: Severity
    scene: str
    view_index: int | None
    frames: tuple[int, ...]
    file: str
    offset: int | None
    value: float | None
    bound: str
    message: str
    remedy: str

    @property
    def where(self) -> str:
        """In words: "dataset", "scene a", "scene a, view 3", "data/..., byte 17"."""
        if self.file:
            return self.file if self.offset is None else f"{self.file}, byte {self.offset}"
        if not self.scene:
            return "dataset"
        view = "" if self.view_index is None else f", view {self.view_index}"
        return f"scene {self.scene}{view}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; a value that is no finite number is null."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {**asdict(self), "frames": list(self.frames), "value": value}


def found(
    rule: str,
    message: str,
    *,
    scene: str = "",
    view_index: int | None = None,
    frames: Iterable[int] = (),
    file: str = "",
    offset: int | None = None,
    value: float | None = None,
) -> DatasetFinding:
    """What `rule` found."""
    stated = DATASET_RULES[rule]
    return DatasetFinding(
        rule=rule,
        severity=stated.severity,
        scene=scene,
        view_index=view_index,
        frames=tuple(frames),
        file=file,
        offset=offset,
        value=value,
        bound=stated.bound,
        message=message,
        remedy=stated.remedy,
    )


def of_view(finding: Finding, scene: str, view_index: int) -> DatasetFinding:
    """What a rule for clips found in a view."""
    frames = f"{finding.where}: " if finding.frames else ""
    return found(
        finding.rule,
        f"{frames}{finding.message}",
        scene=scene,
        view_index=view_index,
        frames=finding.frames,
        value=finding.value,
    )


def unreadable(error: CorruptDataError, scene: str = "") -> DatasetFinding:
    """A part of the dataset that the reader refuses."""
    return found("unreadable", f"{error.where}: {error.what}", scene=scene)
