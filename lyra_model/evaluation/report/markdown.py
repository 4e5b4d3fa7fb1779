"""The report as Markdown, for cards of datasets and models: figures alone, no pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.overview_content import Figure, MethodTable, OverviewContent

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~])")


def overview_markdown(content: OverviewContent) -> str:
    """Return the report's verdict, tables, worst scenes, filters and origins as Markdown."""
    lines = [f"# {escaped(content.title)}", "", escaped(content.verdict), ""]
    lines += [f"- {escaped(finding)}" for finding in content.findings]
    for table in content.tables:
        lines += ["", *_method_lines(table)]
    if len(content.scenes) > 1:
        lines += ["", "## The worst scenes", "", *_worst_lines(content)]
    if content.filters:
        lines += ["", "## Quality filters", "", *_filter_lines(content)]
    lines += ["", "## Provenance", ""]
    lines += [
        f"- {escaped(group.title)}: {escaped(fact.label)} {escaped(fact.value)}"
        for group in content.provenance
        if group.title != "Machine"
        for fact in group.facts
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _method_lines(table: MethodTable) -> list[str]:
    rows = [
        (
            f"**{escaped(row.title)}**" if row.is_decoder else escaped(row.title),
            *map(_written, (row.psnr_db, row.ssim, row.depth_abs_rel, row.difference)),
        )
        for row in table.rows
    ]
    heads = ("method", "PSNR (dB)", "SSIM", "depth AbsRel", "decoder minus it (dB)")
    return [f"## {escaped(table.title)}", "", *_table(heads, rows)]


def _written(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.written} ({figure.interval})" if figure.interval else figure.written


def _worst_lines(content: OverviewContent) -> list[str]:
    rows = [
        (
            escaped(scene.row.scene_id),
            numbers.decibels(scene.row.psnr_db),
            numbers.decibels(scene.row.copied_db),
            escaped(f"{scene.preview['trajectory']} {scene.preview['frame']}"),
            numbers.decibels(scene.preview["psnr_db"]),
        )
        for scene in content.worst
    ]
    heads = ("scene", "decoder (dB)", "copied frame (dB)", "worst frame", "there (dB)")
    return _table(heads, rows)


def _filter_lines(content: OverviewContent) -> list[str]:
    made = content.num_kept + content.num_dropped
    rows = [
        (
            escaped(row.name),
            f"{row.limit:g}",
            str(row.num_dropped),
            str(row.num_near),
            numbers.decibels(row.near_db),
            numbers.decibels(row.others_db),
        )
        for row in content.filters
    ]
    heads = ("limit", "value", "dropped", "kept near it", "PSNR near it (dB)", "of others (dB)")
    dropped = f"{made} views were made, {content.num_dropped} of them dropped."
    return [dropped, "", *_table(heads, rows)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table whose columns but the first are flush right."""
    return [
        f"| {' | '.join(heads)} |",
        f"| --- |{' ---: |' * (len(heads) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
