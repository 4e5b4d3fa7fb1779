"""stats: a packaged dataset in numbers. No DVC stage: it makes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.options import (
    SAMPLED_VIEWS,
    DatasetArgument,
    JsonOption,
    SampleOption,
    number_of_views,
)
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from rich.table import Table

    from lyra_data.dataset.summary import DatasetSummary, Part
    from stages.summary import Summary

WIDTH = 80


def stats(
    dataset: DatasetArgument,
    sample: SampleOption = SAMPLED_VIEWS,
    json_output: JsonOption = False,
) -> None:
    """Show a dataset in numbers: scenes, splits, camera paths, sizes, quality, depth, channels.

    Durations are in seconds, movement distances in units of the scene's centre depth, depth in
    metres where it is metric. Nothing is written.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.summary import summarise_dataset
        from stages.summary import Summary

        summary = summarise_dataset(dataset, sample=number_of_views(sample), progress=progress)
        whole = summary.whole
        numbers = {"scene": whole.scenes, "view": whole.views, "frame": whole.frames}
        counts = ", ".join(counted(count, noun) for noun, count in numbers.items())
        headline = f"{counts} in {dataset}"
        return Summary("stats", headline, summary.as_json(), tuple(_tables(summary)))

    guarded(work, json_output)


def _tables(summary: DatasetSummary) -> list[Table]:
    return [
        _overview(summary),
        _parts("split", summary.splits),
        _parts("camera path", summary.paths),
        _sizes(summary),
        _numbers(summary),
        _channels(summary),
    ]


def _table(*columns: str, title: str | None = None) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        width=WIDTH,
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
    )
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _overview(summary: DatasetSummary) -> Table:
    from rich.table import Table
    from rich.text import Text

    manifest = summary.manifest
    sizes = ", ".join(f"{count} of {size}" for size, count in summary.picture_sizes.items())
    kinds = ", ".join(f"{name} {kind}" for name, kind in manifest.encoding.items())
    table = Table(width=WIDTH, show_header=False, box=None, pad_edge=False)
    table.add_column(width=14, style="bold")
    table.add_column(overflow="fold")
    rows = {
        "dataset hash": manifest.dataset_hash,
        "sources": f"{summary.num_sources} (photos or videos)",
        "duration": f"{summary.whole.seconds:.1f} s",
        "picture sizes": f"views: {sizes}",
        "codec": f"{manifest.codec.name} ({manifest.codec.fingerprint})",
        "encoding": kinds,
        "dropped": f"{counted(len(manifest.dropped), 'view')}, by the limits of params.yaml",
    }
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _parts(title: str, parts: dict[str, Part]) -> Table:
    table = _table(title, "scenes", "views", "frames", "seconds")
    for name, part in parts.items():
        table.add_row(
            name, str(part.scenes), str(part.views), str(part.frames), f"{part.seconds:.1f}"
        )
    return table


def _sizes(summary: DatasetSummary) -> Table:
    table = _table("modality", "MB", "bytes a view", "share")
    total, views = sum(summary.sizes.values()), max(summary.whole.views, 1)
    for name, size in [*summary.sizes.items(), ("all", total)]:
        table.add_row(
            name, f"{size / 1e6:.2f}", f"{size / views:,.0f}", f"{100 * size / total:.1f} %"
        )
    return table


def _numbers(summary: DatasetSummary) -> Table:
    table = _table("number", "null", "least", "5 %", "median", "95 %", "most")
    table.caption = f"depth: where it is known, in {summary.depth_views} views"
    named = dict(summary.numbers)
    named |= {f"depth, {scale}": spread for scale, spread in summary.depth.items()}
    for name, spread in named.items():
        values = [f"{value:.3g}" for value in spread.values] or ["-"] * 5
        table.add_row(name, str(spread.missing), *values)
    return table


def _channels(summary: DatasetSummary) -> Table:
    table = _table("channel", "mean", "std", "channel", "mean", "std")
    manifest = summary.manifest
    named = [
        (name, channel)
        for name, channel in zip(("red", "green", "blue"), manifest.rgb_channels, strict=True)
    ]
    named += [(f"latent {index}", each) for index, each in enumerate(manifest.latent_channels)]
    half = -(-len(named) // 2)
    for row in range(half):
        cells = []
        for name, channel in named[row::half]:
            cells += [name, f"{channel.mean:.4g}", f"{channel.std:.4g}"]
        table.add_row(*cells)
    return table
