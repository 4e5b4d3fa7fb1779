"""Options of machines that do one stage together, and what each says: `--shard`, `--work`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stages.options import WORKERS
from stages.summary import Summary, counted

if TYPE_CHECKING:
    from lyra_data.engine.executors.shares import ShareResults

ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="K/N",
        help="Do the K-th of N shares alone and write no result; the same command without it then "
        "puts all shares together (docs/scale.md).",
        rich_help_panel=WORKERS,
        show_default=False,
    ),
]


WorkOption = Annotated[
    str | None,
    typer.Option(
        "--work",
        metavar="ADDRESS",
        help="Keep finished work there too, and take it from there: s3://BUCKET/PATH or "
        "hf://buckets/NAMESPACE/NAME/PATH, for machines that share no folder.",
        rich_help_panel=WORKERS,
        envvar="LYRA_WORK",
        show_default=False,
    ),
]


def share_summary(stage: str, noun: str, results: ShareResults) -> Summary:
    """Return what a share did, and what is left to do before the stage has a result."""
    share = results.share
    failed = f", {len(results.failures)} failed" if results.failures else ""
    others = f"{counted(results.total - results.size, noun)} in other shares"
    if results.finished is not None:
        others = f"{results.finished:,} of {counted(results.total, noun)} finished in all"
    return Summary(
        stage,
        f"share {share}: {counted(results.size, noun)}, {results.made} made, {results.found} found "
        f"finished{failed}; {others}",
        {
            "shard": str(share),
            "total": results.total,
            "size": results.size,
            "made": results.made,
            "found": results.found,
            "finished": results.finished,
            "failures": [failure.as_json() for failure in results.failures],
        },
        (
            *map(str, results.failures),
            f"no result is written yet: when all {share.count} shares are done, run `lyra-data "
            f"{stage}` without --shard",
        ),
    )
