"""check: the rules for clips, held against clips on the disk. No DVC stage: it makes nothing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.running import guarded

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_data.clip_checks import CheckedClip
    from stages.summary import Summary

WIDTH = 80
COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


class FailOn(StrEnum):
    """The least severity that makes the exit code 1."""

    error = "error"
    warning = "warning"
    never = "never"


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CLIP...",
            help="Folders of clips, e.g. outputs/clips/SCENE, or folders of such: outputs/clips.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(help="Exit with 1 where findings of this severity, or a worse one, exist."),
    ] = FailOn.error,
    list_rules: Annotated[
        bool, typer.Option("--rules", help="List all rules with their bounds, check nothing.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, no bars.")
    ] = False,
) -> None:
    """Hold clips against the rules: files, poses, intrinsics, depth, masks, pictures.

    Whatever made the clips. In videos, points are followed from picture to picture, and depth and
    poses must lead to the same places. Exit codes: 0 nothing of the named severity found, 1 found,
    2 there is no clip. Nothing is written. docs/checks.md explains every rule.
    """
    worst: list[str | None] = []

    def work(progress: Any) -> Summary:
        if list_rules:
            return _rules()
        from lyra_data.clip_checks import check_clip_folder, find_clips
        from lyra_data.errors import InputError

        if not paths:
            raise InputError(
                "no clip was named",
                where="lyra-data check",
                fix="name folders of clips: lyra-data check outputs/clips",
            )
        folders = [folder for path in paths for folder in find_clips(path)]
        checked = []
        progress.start("Checking", len(folders), "clips")
        for folder in folders:
            checked.append(check_clip_folder(folder))
            progress.advance(note=folder.name)
        progress.finish()
        worst.extend(clip.worst for clip in checked)
        return _told(checked)

    guarded(work, json_output)
    from lyra_data.clip_checks import SEVERITIES

    counted = () if fail_on is FailOn.never else SEVERITIES[: SEVERITIES.index(fail_on.value) + 1]
    if any(severity in counted for severity in worst):
        raise typer.Exit(1)


def _told(checked: list[CheckedClip]) -> Summary:
    from lyra_data.clip_checks import SEVERITIES
    from stages.summary import Summary

    findings = [finding for clip in checked for finding in clip.findings]
    counts = {
        severity: sum(finding.severity == severity for finding in findings)
        for severity in SEVERITIES
    }
    clips = f"{len(checked)} clip{'s' if len(checked) != 1 else ''}"
    told = ", ".join(
        f"{count} {severity}{'s' if count != 1 else ''}" for severity, count in counts.items()
    )
    facts = {
        "clips": [clip.as_json() for clip in checked],
        **{f"num_{severity}s": count for severity, count in counts.items()},
    }
    clean = sum(clip.worst in (None, "note") for clip in checked)
    closing = f"{clean} of {clips} without errors and warnings"
    tables = tuple(_table(clip) for clip in checked if clip.findings)
    return Summary("check", f"{clips}: {told}", facts, (*tables, closing))


def _table(clip: CheckedClip) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(width=WIDTH, title=escape(clip.clip), title_justify="left", show_lines=True)
    table.add_column("rule, severity", width=20, overflow="fold")
    table.add_column("where", width=13, overflow="fold")
    table.add_column("what was found, and what to do", overflow="fold")
    for finding in clip.findings:
        colour = COLOURS[finding.severity]
        table.add_row(
            f"[bold]{finding.rule}[/]\n[{colour}]{finding.severity}[/]",
            finding.where,
            f"{escape(finding.message)}\n[dim]bound: {escape(finding.bound)}[/]\n"
            f"[green]{escape(finding.remedy)}[/]",
        )
    return table


def _rules() -> Summary:
    from dataclasses import asdict

    from rich.markup import escape
    from rich.table import Table

    from lyra_data.clip_checks import RULES
    from stages.summary import Summary

    table = Table(width=WIDTH, show_lines=True)
    table.add_column("rule, severity", width=20, overflow="fold")
    table.add_column("what a finding means, and what passes", overflow="fold")
    for rule in RULES.values():
        colour = COLOURS[rule.severity]
        table.add_row(
            f"[bold]{rule.name}[/]\n[{colour}]{rule.severity}[/]",
            f"{escape(rule.meaning)}\n[dim]bound: {escape(rule.bound)}[/]",
        )
    facts = {"rules": [asdict(rule) for rule in RULES.values()]}
    return Summary("check", f"{len(RULES)} rules", facts, (table,))
