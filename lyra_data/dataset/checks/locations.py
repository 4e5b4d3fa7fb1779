"""Locate findings in a dataset: a file and its byte, or a scene, its view and frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from lyra_data.clips.checks.locations import ClipFinding
from lyra_data.dataset.checks.rules import DATASET_RULES
from lyra_data.dataset.reading.verification import FileFault
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.findings import Finding


@dataclass(frozen=True)
class DatasetLocation:
    """A place in a dataset, as narrow as it is known.

    Attributes:
        scene: scene_id; empty: the whole dataset.
        view_index: None: the whole scene.
        frames: the frames concerned; empty: all.
        file: the file concerned; empty: several, or none.
        offset: first byte of the file that is wrong, or of the smallest range that is known to be.
    """

    scene: str = ""
    view_index: int | None = None
    frames: tuple[int, ...] = ()
    file: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        """Return it in words: "dataset", "scene a", "scene a, view 3", "data/..., byte 17"."""
        if self.file:
            return self.file if self.offset is None else f"{self.file}, byte {self.offset}"
        if not self.scene:
            return "dataset"
        view = "" if self.view_index is None else f", view {self.view_index}"
        return f"scene {self.scene}{view}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "frames": list(self.frames)}


DatasetFinding: TypeAlias = Finding[DatasetLocation]


def dataset_finding(
    rule: str, message: str, *, scene: str = "", value: float | None = None
) -> DatasetFinding:
    """Return the finding of a rule against a scene, or against the whole dataset."""
    return DATASET_RULES.finding(rule, DatasetLocation(scene), message, value=value)


def view_finding(
    rule: str,
    message: str,
    *,
    scene: str,
    view_index: int,
    frames: Iterable[int] = (),
    value: float | None = None,
) -> DatasetFinding:
    """Return the finding of a rule against a view."""
    location = DatasetLocation(scene, view_index, tuple(frames))
    return DATASET_RULES.finding(rule, location, message, value=value)


def file_finding(
    rule: str, message: str, *, file: str, offset: int | None = None
) -> DatasetFinding:
    """Return the finding of a rule against a file."""
    return DATASET_RULES.finding(rule, DatasetLocation(file=file, offset=offset), message)


def fault_finding(rule: str, fault: FileFault) -> DatasetFinding:
    """Return the finding of a rule for wrong bytes."""
    return file_finding(rule, fault.what, file=fault.file, offset=fault.offset)


def clip_finding_of_view(finding: ClipFinding, scene: str, view_index: int) -> DatasetFinding:
    """Return what a rule for clips found in a view as a finding of the dataset."""
    frames = f"{finding.where}: " if finding.frames else ""
    return view_finding(
        finding.rule,
        f"{frames}{finding.message}",
        scene=scene,
        view_index=view_index,
        frames=finding.frames,
        value=finding.value,
    )


def unreadable_finding(error: CorruptDataError, scene: str = "") -> DatasetFinding:
    """Return the finding of a part of the dataset that the reader refuses."""
    return dataset_finding("unreadable", f"{error.where}: {error.what}", scene=scene)
