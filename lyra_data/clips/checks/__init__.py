"""Checks: rules for clips, whatever made them, and what each finds. See docs/checks.md."""

from __future__ import annotations

from lyra_data.clips.checks.checking import CheckedClip, check_clip, check_clip_folder, find_clips
from lyra_data.clips.checks.finding import SEVERITIES, Finding, Rule, Severity
from lyra_data.clips.checks.rules import RULES

__all__ = [
    "RULES",
    "SEVERITIES",
    "CheckedClip",
    "Finding",
    "Rule",
    "Severity",
    "check_clip",
    "check_clip_folder",
    "find_clips",
]
