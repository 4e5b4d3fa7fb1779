"""check: the rules for clips and datasets, held against what lies on a disk or elsewhere.

No DVC stage: it makes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import (
    SAMPLED_VIEWS,
    CpuWorkersOption,
    ExecutorOption,
    JsonOption,
    RayAddressOption,
    SampleOption,
    number_of_views,
)
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_data.clips.checks import CheckedClip, Finding
    from lyra_data.dataset.checks import CheckedDataset
    from lyra_data.engine.executors.base import Crew
    from stages.summary import Summary

WIDTH = 80
COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
SHOWN_FINDINGS = 40
"""Findings of one thing in the table; --json has all."""


class FailOn(StrEnum):
    """The least severity that makes the exit code 1."""

    error = "error"
    warning = "warning"
    never = "never"


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLIP|DATASET...",
            help="Folders of clips, e.g. outputs/clips/SCENE, or folders of such: outputs/clips; "
            "datasets: outputs/dataset, hf://datasets/OWNER/NAME, http(s)://, s3://.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(help="Exit with 1 where findings of this severity, or a worse one, exist."),
    ] = FailOn.error,
    sample: SampleOption = SAMPLED_VIEWS,
    list_rules: Annotated[
        bool, typer.Option("--rules", help="List all rules with their bounds, check nothing.")
    ] = False,
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: CpuWorkersOption = None,
    ray_address: RayAddressOption = "auto",
) -> None:
    """Hold clips or packaged datasets against the rules: files, poses, depth, masks, pictures.

    Whatever made them. In videos, points are followed from picture to picture, and depth and poses
    must lead to the same places. Of a dataset every byte is compared with its hashes first.
    Workers share files, scenes and clips, and change no finding.
    Exit codes: 0 no finding of that severity, 1 findings, 2 nothing to check.
    Nothing is written. docs/checks.md explains every rule.
    """
    worst: list[str | None] = []

    def work(progress: Any) -> Summary:
        if list_rules:
            return _rules()
        from lyra_data.dataset.checks import check_dataset, is_dataset
        from lyra_data.engine.errors import InputError
        from lyra_data.engine.executors.base import Crew

        if not paths:
            raise InputError(
                "no clip and no dataset was named",
                where="lyra-data check",
                fix="name folders: lyra-data check outputs/clips, lyra-data check outputs/dataset",
            )
        number = number_of_views(sample)
        crew = Crew(executor, workers, ray_address, device="cpu")
        folders = [Path(path) for path in paths if not is_dataset(path)]
        clips = _checked_clips(folders, crew, progress)
        datasets = [
            check_dataset(path, sample=number, progress=progress, crew=crew)
            for path in paths
            if is_dataset(path)
        ]
        worst.extend(checked.worst for checked in (*clips, *datasets))
        return _summary(clips, datasets)

    guarded(work, json_output)
    from lyra_data.clips.checks import SEVERITIES

    failing = () if fail_on is FailOn.never else SEVERITIES[: SEVERITIES.index(fail_on.value) + 1]
    if any(severity in failing for severity in worst):
        raise typer.Exit(1)


def _checked_clips(paths: list[Path], crew: Crew, progress: Any) -> list[CheckedClip]:
    from lyra_data.clips.checks import check_clip_folders, find_clips

    folders = [folder for path in paths for folder in find_clips(path)]
    return check_clip_folders(folders, crew=crew, progress=progress)


def _summary(clips: list[CheckedClip], datasets: list[CheckedDataset]) -> Summary:
    from lyra_data.engine.findings import count_severities
    from stages.summary import Summary

    counts = count_severities(
        finding for checked in (*clips, *datasets) for finding in checked.findings
    )
    severities = ", ".join(counted(count, severity) for severity, count in counts.items())
    kinds = {"clips": clips, "datasets": datasets}
    facts = {
        **{
            kind: [checked.as_json() for checked in checks]
            for kind, checks in kinds.items()
            if checks
        },
        **{f"num_{severity}s": count for severity, count in counts.items()},
    }
    what = " and ".join(counted(len(checks), kind[:-1]) for kind, checks in kinds.items() if checks)
    both = f"{len(clips) + len(datasets)}" if clips and datasets else what
    clean = sum(checked.worst in (None, "note") for checked in (*clips, *datasets))
    closing = (
        *(_sampled(dataset) for dataset in datasets),
        f"{clean} of {both} without errors and warnings",
    )
    named: list[tuple[str, Sequence[Finding[Any]]]] = [(clip.clip, clip.findings) for clip in clips]
    named += [(dataset.uri, dataset.findings) for dataset in datasets]
    tables = [_table(name, listed) for name, listed in named if listed]
    return Summary("check", f"{what}: {severities}", facts, (*tables, *closing))


def _sampled(dataset: CheckedDataset) -> str:
    views = counted(dataset.num_views, "view")
    return (
        f"{counted(dataset.num_scenes, 'scene')}, {views}; frames and depth of "
        f"{dataset.num_looked_at} looked at"
    )


def _table(name: str, findings: Sequence[Finding[Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(width=WIDTH, title=Text(name), title_justify="left", show_lines=True)
    table.add_column("rule, severity", width=20, overflow="fold")
    table.add_column("where", width=13, overflow="fold")
    table.add_column("finding, and what to do", overflow="fold")
    for finding in findings[:SHOWN_FINDINGS]:
        colour = COLOURS[finding.severity]
        table.add_row(
            Text.assemble((finding.rule, "bold"), "\n", (finding.severity, colour)),
            Text(finding.where),
            Text.assemble(
                f"{finding.message}\n",
                (f"bound: {finding.bound}\n", "dim"),
                (finding.remedy, "green"),
            ),
        )
    if len(findings) > SHOWN_FINDINGS:
        table.caption = f"{len(findings) - SHOWN_FINDINGS} more: --json has all"
    return table


def _rules() -> Summary:
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from lyra_data.clips.checks import RULES
    from lyra_data.dataset.checks import DATASET_RULES
    from stages.summary import Summary

    tables = []
    for kind, rules in (("clips", RULES), ("datasets", DATASET_RULES)):
        table = Table(width=WIDTH, show_lines=True, title=f"rules for {kind}", title_justify="left")
        table.add_column("rule, severity", width=20, overflow="fold")
        table.add_column("what a finding means, and what passes", overflow="fold")
        for rule in rules.values():
            colour = COLOURS[rule.severity]
            table.add_row(
                Text.assemble((rule.name, "bold"), "\n", (rule.severity, colour)),
                Text.assemble(f"{rule.meaning}\n", (f"bound: {rule.bound}", "dim")),
            )
        tables.append(table)
    every = [*RULES.values(), *DATASET_RULES.values()]
    facts = {"rules": [asdict(rule) for rule in every]}
    headline = f"{len(RULES)} rules for clips, {len(DATASET_RULES)} for datasets"
    return Summary("check", headline, facts, tuple(tables))
