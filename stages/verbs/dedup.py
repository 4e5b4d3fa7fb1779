"""dedup: scenes whose sources are nearly one picture. No DVC stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import (
    CpuWorkersOption,
    DatasetArgument,
    ExecutorOption,
    JsonOption,
    RayAddressOption,
    ShardOption,
)
from stages.running import guarded
from stages.summary import counted
from stages.verbs.dataset_editing import copy_summary

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_data.dataset.editing.duplicates import Duplicate
    from stages.summary import Summary

SHOWN_PAIRS = 40
"""Rows in the table; --json has all."""


def dedup_scenes(
    dataset: DatasetArgument,
    output: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT",
            help="Where to write the dataset without the later scene of every pair; not given: "
            "the pairs are listed, nothing is written.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        int,
        typer.Option(
            help="Bits of 63 that two hashes may differ by; unlike pictures differ by about 32.",
            min=0,
            max=63,
        ),
    ] = 12,
    scenes_per_shard: ShardOption = None,
    json_output: JsonOption = False,
    executor: ExecutorOption = "local",
    workers: CpuWorkersOption = None,
    ray_address: RayAddressOption = "auto",
) -> None:
    """Find scenes whose sources show nearly the same first picture.

    Perceptual hashes are compared: other sizes, JPEG and brightness are seen through, crops of
    a few percent mostly, mirrored pictures never (docs/dataset-tools.md has rates). Blobs are
    copied as they are; nothing is replaced. Workers share the reading and hashing of pictures.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.editing.copying import require_target
        from lyra_data.dataset.editing.duplicates import dedup_dataset, find_duplicates
        from lyra_data.dataset.editing.opened import OpenedDataset
        from lyra_data.engine.executors.base import Crew
        from stages.summary import Summary

        opened = OpenedDataset(dataset)
        if output is not None:
            require_target(output, [opened])
        crew = Crew(executor, workers, ray_address, device="cpu")
        pairs = find_duplicates(opened, threshold=threshold, progress=progress, crew=crew)
        facts: dict[str, Any] = {"threshold": threshold, "pairs": [p.as_json() for p in pairs]}
        tables = (_pairs_table(pairs),) if pairs else ()
        if output is None:
            scenes = counted(len(opened.scenes), "scene")
            headline = f"{counted(len(pairs), 'pair')} among {scenes}; nothing was written"
            return Summary("dedup", headline, facts, tables)
        manifest = dedup_dataset(
            opened,
            output,
            pairs,
            threshold=threshold,
            scenes_per_shard=scenes_per_shard,
            progress=progress,
        )
        views = sum(len(entry.view_indices) for entry in opened.scenes)
        before = {"scenes": len(opened.scenes), "views": views}
        done = copy_summary("dedup", manifest, output, before)
        return Summary("dedup", done.headline, {**done.facts, **facts}, (*tables, *done.details))

    guarded(work, json_output)


def _pairs_table(pairs: list[Duplicate]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(width=80, box=SIMPLE_HEAD, pad_edge=False)
    for name in ("scene", "is like"):
        table.add_column(name, overflow="fold")
    for name in ("bits", "splits"):
        table.add_column(name, justify="right", no_wrap=True)
    for pair in pairs[:SHOWN_PAIRS]:
        table.add_row(
            pair.scene,
            pair.other,
            str(pair.distance),
            Text("two", "red") if pair.is_leak else "one",
        )
    if len(pairs) > SHOWN_PAIRS:
        table.caption = f"{len(pairs) - SHOWN_PAIRS} more: --json has all"
    return table
