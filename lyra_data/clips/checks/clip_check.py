"""Check a clip by every rule that applies to it, in the order of RULES."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.clips.checks.depth_maps import check_depth
from lyra_data.clips.checks.intrinsics import check_intrinsics
from lyra_data.clips.checks.locations import ClipFinding, ClipLocation
from lyra_data.clips.checks.parts import ClipParts, read_parts
from lyra_data.clips.checks.pictures import check_pictures
from lyra_data.clips.checks.poses import check_poses
from lyra_data.clips.checks.reprojection import check_reprojection
from lyra_data.clips.checks.rules import RULES
from lyra_data.clips.checks.structure import check_structure
from lyra_data.clips.store import CLIP_INDEX, scene_folders
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.findings import Severity, worst_severity
from lyra_data.scene.clip import Clip

BEFORE_REPROJECTION = {
    rule.name
    for rule in RULES.values()
    if rule.severity == "error" and not rule.name.endswith("-jump")
}
"""Rules after whose findings moving pixels by depth and poses would say nothing more."""


@dataclass(frozen=True)
class CheckedClip:
    """A clip and its findings.

    Attributes:
        num_frames: None where the clip could not be read.
    """

    clip: str
    folder: str
    num_frames: int | None
    findings: tuple[ClipFinding, ...]

    @property
    def worst(self) -> Severity | None:
        return worst_severity(self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "clip": self.clip,
            "folder": self.folder,
            "num_frames": self.num_frames,
            "findings": [finding.as_json() for finding in self.findings],
        }


def check_clip(clip: Clip) -> list[ClipFinding]:
    """Return what the rules find; nothing is read or written. Rules for videos find nothing in a
    single frame."""
    return _check(ClipParts.of(clip))


def check_clip_folder(folder: Path) -> CheckedClip:
    """Check a stored clip as `check_clip` does; files that are not as written are a finding too.

    Raises:
        InputError: there is no clip in this folder.
    """
    if not (folder / CLIP_INDEX).is_file():
        raise _no_clip(folder)
    try:
        parts = read_parts(folder)
    except CorruptDataError as error:
        finding = RULES.finding(
            "stored-files",
            ClipLocation(folder.name),
            f"{_below(error.where, folder)}: {error.what}",
            remedy=error.fix,
        )
        return CheckedClip(folder.name, str(folder), None, (finding,))
    return CheckedClip(parts.scene_id, str(folder), len(parts), tuple(_check(parts)))


def find_clips(path: Path) -> list[Path]:
    """Return the clip in a folder, or all clips of a folder of clips, by name.

    Raises:
        InputError: there is no such folder, or no clip in it.
    """
    if not path.is_dir():
        raise InputError(
            "there is no such folder",
            where=str(path),
            fix="give a folder of outputs/clips or a dataset",
        )
    if (path / CLIP_INDEX).is_file():
        return [path]
    clips = [folder for folder in scene_folders(path) if (folder / CLIP_INDEX).is_file()]
    if not clips:
        raise _no_clip(path)
    return clips


def _check(parts: ClipParts) -> list[ClipFinding]:
    findings = check_structure(parts)
    if any(finding.rule in ("frame-counts", "array-shapes") for finding in findings):
        return findings
    findings += [*check_poses(parts), *check_intrinsics(parts)]
    findings += [*check_depth(parts), *check_pictures(parts)]
    if len(parts) > 1 and not any(finding.rule in BEFORE_REPROJECTION for finding in findings):
        findings += check_reprojection(parts)
    return RULES.sort(findings)


def _below(where: str | None, folder: Path) -> str:
    return str(where or folder).removeprefix(f"{folder}/")


def _no_clip(folder: Path) -> InputError:
    return InputError(
        f"no clip lies here: there is no {CLIP_INDEX}",
        where=str(folder),
        fix="give a clip's folder, or the folder of clips that `lyra-data annotate` writes: "
        "outputs/clips",
    )
