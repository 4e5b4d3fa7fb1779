"""pull, continued: parts of datasets, and scenes out of released tars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.summary import Summary, counted
from stages.verbs.consent import require_consent
from stages.verbs.weights_texts import size_text

if TYPE_CHECKING:
    from lyra_data.dataset.format.manifest import Manifest
    from lyra_data.hub.listing import Listing
    from lyra_data.sharing.pulling.choice import PartChoice
    from lyra_data.sharing.pulling.repositories import PullName
    from stages.verbs.pull_options import PullOptions


def pull_dataset_part(
    name: PullName,
    listing: Listing,
    manifest: Manifest,
    choice: PartChoice,
    options: PullOptions,
    progress: Any,
) -> Summary:
    """Pull the chosen part of a dataset of ours.

    Raises:
        InputError: nothing fits the choice, or nobody has agreed.
        CorruptDataError, DownloadError, StorageError: as `pull_part`.
    """
    from lyra_data.sharing.pulling.dataset_part import (
        describe_part,
        existing_part,
        open_remote,
        plan_part,
        pull_part,
    )

    target = options.output or Path(name.short)
    part_of = describe_part(name, listing, manifest, choice)
    existing = existing_part(target, part_of)
    if existing is not None:
        headline = f"{target} holds this part already; nothing was fetched"
        return Summary("pull", headline, _facts(existing, target, part_of))
    dataset = open_remote(listing, manifest, choice)
    plan = plan_part(dataset, choice, target, part_of, progress=progress)
    counts = f"{counted(len(plan.scenes), 'scene')}, {counted(plan.num_views, 'view')}"
    num_views = sum(len(entry.view_indices) for entry in manifest.scenes)
    of = f" of {len(manifest.scenes):,} and {num_views:,}"
    lines = [
        f"{counts}{of}: {', '.join(dataset.modalities)}",
        f"{size_text(plan.num_bytes)} to fetch into {target}, of "
        f"{size_text(sum(shard.size for shard in manifest.shards))}; as much again is needed on "
        "the disk until it is whole",
    ]
    show_choice(listing, lines, to_stderr=options.json_output)
    if options.dry_run:
        facts = {**part_of, "output": str(target), "num_bytes_to_fetch": plan.num_bytes}
        facts |= {"scenes": [scene.entry.scene_id for scene in plan.scenes]}
        facts |= {"num_scenes": len(plan.scenes), "num_views": plan.num_views}
        return Summary("pull", f"{counts}: nothing was fetched", facts)
    require_consent(options.yes)
    made = pull_part(plan, progress=progress)
    size = sum(shard.size for shard in made.shards)
    details = [
        f"a part of {listing.repository} at {listing.revision[:12]}, dataset hash "
        f"{manifest.dataset_hash[:12]}; every blob has the hash that its index states",
        f"its own dataset hash is {made.dataset_hash[:12]}",
    ]
    headline = f"{counts}, {size_text(size)} in {target}"
    return Summary("pull", headline, _facts(made, target, part_of), tuple(details))


def pull_released_scenes(
    name: PullName, listing: Listing, choice: PartChoice, options: PullOptions, progress: Any
) -> Summary:
    """Pull scenes out of the tars of a release in Lyra's layout, converted and repaired.

    Raises:
        InputError: nothing fits the choice, a clip cannot be read, or nobody has agreed.
        DownloadError, StorageError: the Hub or the disk refuses.
    """
    from lyra_data.clips.formats.export_folders import require_free
    from lyra_data.hub.ranges import HubRanges
    from lyra_data.sharing.pulling.dataset_part import existing_part
    from lyra_data.sharing.pulling.released_part import pull_scenes
    from lyra_data.sharing.pulling.released_scenes import choose_scenes, require_choosable
    from lyra_data.sharing.pulling.tar_index import index_folder
    from stages.verbs.convert import conversion_details, conversion_facts

    target = options.output or Path(name.short)
    require_choosable(choice, listing)
    part_of = {
        "repository": listing.repository,
        "tag": name.tag,
        "revision": listing.revision,
        "licence": listing.licence,
        "choice": choice.as_json(),
    }
    existing = existing_part(target, part_of)
    if existing is not None:
        headline = f"{target} holds this part already; nothing was fetched"
        return Summary("pull", headline, _facts(existing, target, part_of))
    require_free(target)
    ranges = HubRanges(listing.repository, listing.repository_type, listing.revision)
    chosen = choose_scenes(listing, ranges, choice, index_folder(), progress=progress)
    num_bytes = sum(scene.num_bytes for scene in chosen)
    num_clips = sum(len(scene.clips) for scene in chosen)
    counts = f"{counted(len(chosen), 'scene')}, {counted(num_clips, 'clip')}"
    tars = sorted({tar for scene in chosen for tar in scene.tars})
    lines = [
        f"{counts} out of {', '.join(tars[:3])}{', ...' * (len(tars) > 3)}",
        f"{size_text(num_bytes)} to fetch, of {size_text(listing.size)}; they become a dataset in "
        f"{target}, and twice its size is needed on the disk until it is whole",
    ]
    show_choice(listing, lines, to_stderr=options.json_output)
    if options.dry_run:
        facts = {**part_of, "output": str(target), "num_bytes_to_fetch": num_bytes}
        facts |= {"scenes": [scene.scene_id for scene in chosen], "num_clips": num_clips}
        return Summary("pull", f"{counts}: nothing was fetched", facts)
    require_consent(options.yes)
    manifest, report = pull_scenes(listing, ranges, chosen, target, part_of, progress=progress)
    facts = _facts(manifest, target, part_of) | conversion_facts(report)
    facts |= {"num_bytes_fetched": ranges.num_bytes}
    return Summary("pull", f"{counts} in {target}", facts, conversion_details(report))


def show_choice(listing: Listing, lines: list[str], *, to_stderr: bool) -> None:
    """Print what would be fetched of a repository, and its licence."""
    from rich.text import Text

    from stages.terminal import terminal

    console = terminal(stderr=to_stderr)
    console.print(
        Text.assemble((listing.repository, "bold"), f" at {listing.revision}"), soft_wrap=True
    )
    console.print(Text(f"licence  {listing.licence}"), soft_wrap=True)
    if listing.gated:
        gated = f"gated    its licence must be accepted at {listing.page}"
        console.print(Text(gated), soft_wrap=True)
    for line in lines:
        console.print(Text(f"part     {line}"), soft_wrap=True)


def _facts(manifest: Manifest, target: Path, part_of: Any) -> dict[str, Any]:
    return {
        "output": str(target),
        "part_of": dict(part_of),
        "num_scenes": len(manifest.scenes),
        "num_views": sum(len(scene.view_indices) for scene in manifest.scenes),
        "num_bytes": sum(shard.size for shard in manifest.shards),
        "modalities": list(manifest.modalities),
        "dataset_hash_of_part": manifest.dataset_hash,
    }
