"""diff: what differs between two datasets. No DVC stage: it makes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_data.dataset.comparison.differences import DatasetDifference
    from stages.summary import Summary

WIDTH = 80
SHOWN_SCENES = 20
"""Scenes in each list of the table; --json has all."""

SIDE = (
    "a dataset's folder, hf://datasets/OWNER/NAME@TAG, http(s)://, s3://, or FOLDER@REVISION of a "
    "DVC project, e.g. outputs/dataset@main"
)


def diff(
    first: Annotated[
        str, typer.Argument(metavar="A", help=f"The former one: {SIDE}.", show_default=False)
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="The other one, given likewise.", show_default=False)
    ],
    media: Annotated[
        int,
        typer.Option(
            help="Views of each field that differs (frames, depth, latents, masks) to decode, to "
            "say by how much; 0: media are not read.",
            min=0,
        ),
    ] = 0,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a page, one file, with all of it.", show_default=False
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Compare two datasets: scenes and views added, removed, changed, and which fields differ.

    Shifts of the quality numbers, of sizes, encoding, codec and provenance too. Manifests, indexes
    and plain columns are read, by byte ranges where they are far away; media only by --media.
    Exits with 0 whether they differ or not; `equal` in --json tells.
    """

    def work(progress: Any) -> Summary:
        from rich.text import Text

        from lyra_data.dataset.comparison.compare import compare_datasets
        from stages.summary import Summary

        difference = compare_datasets(first, second, media_views=media, progress=progress)
        details: list[Any] = list(_tables(difference))
        facts = difference.as_json()
        if html is not None:
            from lyra_data.dataset.comparison.page import write_page

            write_page(difference, html)
            facts["html"] = str(html)
            details.append(Text(f"page: {html}", no_wrap=True))
        return Summary("diff", _headline(difference), facts, tuple(details))

    guarded(work, json_output)


def _headline(difference: DatasetDifference) -> str:
    if difference.is_equal:
        return f"{counted(difference.num_equal, 'scene')}, all equal"
    counts = {
        "added": len(difference.added),
        "removed": len(difference.removed),
        "changed": len(difference.changed),
        "equal": difference.num_equal,
    }
    words = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return f"scenes of B against A: {words}"


def _tables(difference: DatasetDifference) -> Iterator[Table]:
    yield _sides(difference)
    if not difference.is_equal:
        yield _scenes(difference)
    if difference.fields:
        yield _fields(difference)
    if any(shift.is_shifted for shift in difference.numbers):
        yield _numbers(difference)
    if difference.settings:
        yield _settings(difference)


def _table(*columns: str, numbers: int = 0, caption: str | None = None) -> Table:
    """Return an empty table; its last `numbers` columns hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(width=WIDTH, box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=caption)
    for index, column in enumerate(columns):
        if index < len(columns) - numbers:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def _sides(difference: DatasetDifference) -> Table:
    from rich.text import Text

    a, b = difference.a, difference.b
    table = _table("", "A", "B")
    rows: dict[str, tuple[str, str]] = {
        "dataset": (a.name, b.name),
        "hash": (a.dataset_hash[:12], b.dataset_hash[:12]),
        "scenes": (f"{a.scenes:,}", f"{b.scenes:,}"),
        "views": (f"{a.views:,}", f"{b.views:,}"),
        "dropped": (f"{a.dropped:,}", f"{b.dropped:,}"),
        "MB": (f"{sum(a.sizes.values()) / 1e6:.2f}", f"{sum(b.sizes.values()) / 1e6:.2f}"),
    }
    for name, size in a.sizes.items():
        if size != b.sizes[name]:
            rows[f"MB of {name}"] = (f"{size / 1e6:.2f}", f"{b.sizes[name] / 1e6:.2f}")
    for name, cells in rows.items():
        table.add_row(name, *map(Text, cells))
    return table


def _scenes(difference: DatasetDifference) -> Table:
    from rich.text import Text

    from lyra_data.dataset.comparison.words import scene_in_words

    table = _table("scene", "", "what differs")
    changed = [(one.scene_id, "changed", scene_in_words(one)) for one in difference.changed]
    added = [(name, "added", "") for name in difference.added]
    removed = [(name, "removed", "") for name in difference.removed]
    for rows in (added, removed, changed):
        for cells in rows[:SHOWN_SCENES]:
            table.add_row(*map(Text, cells))
        if len(rows) > SHOWN_SCENES:
            table.add_row(f"... {len(rows) - SHOWN_SCENES:,} more", rows[0][1], "")
    return table


def _fields(difference: DatasetDifference) -> Table:
    from lyra_data.dataset.comparison.words import amounts_in_words

    keys = ", ".join(f"{key} ({count})" for key, count in difference.view_provenance.items())
    caption = f"provenance of views differs in {keys}" if keys else None
    table = _table("field", "at most", "scenes", "views", "parts", numbers=3, caption=caption)
    for one in difference.fields:
        parts = f"{one.changed_parts:,}/{one.parts:,}" if one.parts else "-"
        cells = (amounts_in_words(one), f"{one.scenes:,}", f"{one.views:,}", parts)
        table.add_row(one.field, *cells)
    return table


def _numbers(difference: DatasetDifference) -> Table:
    from lyra_data.dataset.comparison.words import number_in_words

    equal = sum(not shift.is_shifted for shift in difference.numbers)
    caption = "B - A: mean over the views of both"
    if equal:
        caption += f"; {counted(equal, 'other number')} did not shift"
    table = _table("number", "mean A", "mean B", "median A", "median B", numbers=4, caption=caption)
    table.add_column("B - A", justify="right", no_wrap=True)
    for shift in difference.numbers:
        if shift.is_shifted:
            medians = [one.values[2] if one.values else None for one in shift.spreads]
            cells = (*shift.means, *medians, shift.paired_shift)
            table.add_row(shift.name, *map(number_in_words, cells))
    return table


def _settings(difference: DatasetDifference) -> Table:
    from rich.text import Text

    from lyra_data.dataset.comparison.words import shortened_value

    table = _table("setting", "A", "B")
    for one in difference.settings:
        table.add_row(one.name, Text(shortened_value(one.a)), Text(shortened_value(one.b)))
    return table
