"""filter, split, merge: datasets made of datasets, no blob encoded again. No DVC stages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import DatasetArgument, JsonOption, OutputArgument, ShardOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from lyra_data.dataset.format.manifest import Manifest
    from stages.summary import Summary


def filter_views(
    dataset: DatasetArgument,
    output: OutputArgument,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help='A condition on columns of preview, e.g. "known_fraction >= 0.6 and width >= '
            '640"; several must all hold.',
            show_default=False,
        ),
    ] = None,
    trajectory: Annotated[
        list[str] | None, typer.Option(help="Only this camera path; may be repeated.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Only this split; may be repeated.")
    ] = None,
    scene: Annotated[
        list[str] | None, typer.Option(help="Only this scene; may be repeated.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="A file with the names of scenes, one a line.")
    ] = None,
    scenes_per_shard: ShardOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write a dataset of those views that all conditions hold for.

    Blobs are copied as they are. A number that could not be measured fulfils no comparison but
    `is None`. Scenes without views go. Nothing is replaced; the manifest says what it was made of.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.editing.conditions import Condition
        from lyra_data.dataset.editing.filtering import (
            CONDITION_COLUMNS,
            ViewFilter,
            filter_dataset,
        )
        from lyra_data.dataset.editing.opened import OpenedDataset

        named = {*(scene or ()), *(_names_in(scenes) if scenes else ())}
        view_filter = ViewFilter(
            where=tuple(Condition(text, CONDITION_COLUMNS) for text in where or ()),
            trajectories=trajectory or None,
            splits=split or None,
            scenes=named if scene or scenes else None,
        )
        done = filter_dataset(
            OpenedDataset(dataset),
            output,
            view_filter,
            scenes_per_shard=scenes_per_shard,
            progress=progress,
        )
        before = {"scenes": done.num_scenes, "views": done.num_views}
        return copy_summary("filter", done.manifest, output, before)

    guarded(work, json_output)


def split_scenes(
    dataset: DatasetArgument,
    output: OutputArgument,
    share: Annotated[
        list[str],
        typer.Option(
            metavar="SPLIT=SHARE",
            help="Share of the sources in train, validation or test; repeat it, together 1.",
            show_default=False,
        ),
    ],
    seed: Annotated[int, typer.Option(help="Decides which sources go where.")] = 0,
    scenes_per_shard: ShardOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write the dataset with its scenes dealt out anew to splits.

    All views of one photo or video go together. Blobs are copied as they are; nothing is replaced.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.editing.opened import OpenedDataset
        from lyra_data.dataset.editing.splitting import (
            empty_splits,
            require_shares,
            split_dataset,
        )
        from stages.summary import Summary

        shares = _shares(share)
        require_shares(shares)
        manifest = split_dataset(
            OpenedDataset(dataset),
            output,
            shares,
            seed=seed,
            scenes_per_shard=scenes_per_shard,
            progress=progress,
        )
        done = copy_summary("split", manifest, output)
        empty = empty_splits(manifest, shares)
        remarks = [
            f"no scene went to {split}: a share of {shares[split]:g} of so few sources is less "
            "than half a source; raise it, or add sources"
            for split in empty
        ]
        facts = {**done.facts, "empty_splits": empty}
        return Summary("split", done.headline, facts, (*done.details, *remarks))

    guarded(work, json_output)


def merge_datasets(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...", help="Two datasets or more; as for filter.", show_default=False
        ),
    ],
    output: OutputArgument,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            help="Put before the names of a dataset's scenes; one for each dataset, in order.",
            show_default=False,
        ),
    ] = None,
    scenes_per_shard: ShardOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write the scenes of several datasets as one.

    All must have one latent codec and one encoding. Splits are kept; a source that an earlier
    dataset has in another split follows it there. Blobs are copied as they are; nothing is
    replaced.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.dataset.editing import merging
        from lyra_data.dataset.editing.opened import OpenedDataset
        from lyra_data.engine.errors import InputError

        if len(datasets) < 2:
            raise InputError(
                f"{datasets[0]} alone would be written to {output}",
                where="lyra-data merge",
                fix="name two datasets or more, and behind them the folder to write",
            )
        if prefix and len(prefix) != len(datasets):
            raise InputError(
                f"{counted(len(datasets), 'dataset')}, {counted(len(prefix), 'value')} of --prefix",
                where="lyra-data merge",
                fix="give every dataset a --prefix, in their order, or none",
            )
        done = merging.merge_datasets(
            [OpenedDataset(uri) for uri in datasets],
            output,
            prefixes=prefix or None,
            scenes_per_shard=scenes_per_shard,
            progress=progress,
        )
        return copy_summary("merge", done.manifest, output, moved=done.moved)

    guarded(work, json_output)


def _shares(texts: list[str]) -> dict[str, float]:
    from lyra_data.engine.errors import InputError

    shares = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            shares[name] = float(number)
        except ValueError:
            raise InputError(
                f"{text!r} is no share", where="--share", fix="write e.g. --share train=0.9"
            ) from None
    return shares


def _names_in(path: Path) -> list[str]:
    from lyra_data.engine.errors import InputError

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read ({error})", where=str(path), fix="give a text file, one name a line"
        ) from None
    return [line.strip() for line in lines if line.strip()]


def copy_summary(
    verb: str,
    manifest: Manifest,
    output: Path,
    before: dict[str, int] | None = None,
    moved: tuple[str, ...] = (),
) -> Summary:
    """Return what a verb wrote; `before` counts scenes and views of the dataset it was made of."""
    from collections import Counter

    from stages.summary import Summary

    counts = Counter(scene.split for scene in manifest.scenes)
    num_views = sum(len(scene.view_indices) for scene in manifest.scenes)
    size = sum(shard.size for shard in manifest.shards)
    of = f" (of {before['scenes']} and {before['views']})" if before else ""
    splits = ", ".join(f"{count} {split}" for split, count in sorted(counts.items()))
    facts: dict[str, Any] = {
        "output": str(output),
        "num_scenes": len(manifest.scenes),
        "num_views": num_views,
        "num_bytes": size,
        "splits": dict(sorted(counts.items())),
        "dataset_hash": manifest.dataset_hash,
        "inputs": [entry["manifest_hash"] for entry in manifest.provenance["inputs"]],
    }
    details = [f"scenes: {splits}; dataset hash {manifest.dataset_hash[:12]}"]
    if before:
        facts |= {"num_scenes_before": before["scenes"], "num_views_before": before["views"]}
    if moved:
        facts["moved"] = list(moved)
        details.append(f"followed their source into another split: {', '.join(moved)}")
    headline = (
        f"{counted(len(manifest.scenes), 'scene')}, {counted(num_views, 'view')}{of}, "
        f"{size / 1e6:.1f} MB in {output}"
    )
    return Summary(verb, headline, facts, tuple(details))
