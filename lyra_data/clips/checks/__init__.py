"""Check clips by rules, whatever made them. See docs/checks.md."""

from __future__ import annotations

from lyra_data.clips.checks.clip_check import (
    CheckedClip,
    check_clip,
    check_clip_folder,
    find_clips,
)
from lyra_data.clips.checks.locations import ClipFinding, ClipLocation
from lyra_data.clips.checks.rules import RULES
from lyra_data.clips.checks.worker import check_clip_folders
from lyra_data.engine.findings import SEVERITIES, Finding

__all__ = [
    "RULES",
    "SEVERITIES",
    "CheckedClip",
    "ClipFinding",
    "ClipLocation",
    "Finding",
    "check_clip",
    "check_clip_folder",
    "check_clip_folders",
    "find_clips",
]
