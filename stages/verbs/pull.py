"""pull: datasets, parts of them, models and released scenes from the Hub. No DVC stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.verbs.pull_options import PullOptions

if TYPE_CHECKING:
    from lyra_data.hub.listing import Listing
    from lyra_data.sharing.pulling.choice import PartChoice
    from lyra_data.sharing.pulling.repositories import PullName
    from stages.summary import Summary

PART = "A part of a dataset"


def pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@TAG]",
            help="OWNER/NAME of a dataset, a model or a space, with a tag, branch or commit; or a "
            "short name: lyra-sdg, lyra-demo (NVIDIA's data), lyra, gen3c, tokenizer (weights).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write; not given: NAME here. Weights: as `weights pull`.",
            show_default=False,
        ),
    ] = None,
    type: Annotated[
        Literal["dataset", "model", "space"] | None,
        typer.Option(
            metavar="TYPE",
            help="dataset, model or space, where several have this name.",
            show_default=False,
        ),
    ] = None,
    scenes: Annotated[
        list[str] | None,
        typer.Option(
            help="So many scenes (5), or the scenes of a name or a pattern (town-*); may be "
            "repeated.",
            rich_help_panel=PART,
            show_default=False,
        ),
    ] = None,
    trajectories: Annotated[
        list[str] | None,
        typer.Option(
            help="Only views along this camera path; may be repeated.",
            rich_help_panel=PART,
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this split; may be repeated.", rich_help_panel=PART, show_default=False
        ),
    ] = None,
    min_quality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NUMBER=]LEAST",
            help="Only views whose quality is at least so high, e.g. 25 (PSNR against the cache, "
            "dB) or sharpness_ratio=0.8; may be repeated.",
            rich_help_panel=PART,
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help='Only views that this holds for, as for filter: "known_fraction >= 0.6".',
            rich_help_panel=PART,
            show_default=False,
        ),
    ] = None,
    modalities: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this modality beside preview: rgb, latent, depth, camera, mask; may be "
            "repeated.",
            rich_help_panel=PART,
            show_default=False,
        ),
    ] = None,
    max_gb: Annotated[
        float | None,
        typer.Option(
            help="As many of these scenes, from the first on, as have at most so many GB.",
            min=0,
            rich_help_panel=PART,
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before fetching.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be fetched, and fetch nothing.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Fetch a dataset, a part of it, or a model from the Hugging Face Hub.

    Size and licence are shown first. Every file is checked against the hashes of the Hub and of
    the dataset's manifest. Stopped or cut, the same command goes on where it stopped.

    A part is a dataset of its own: only the bytes of its scenes are fetched, and its manifest
    names what it is part of. `lyra-data pull lyra-sdg --scenes 5` reads scenes out of NVIDIA's
    tars and turns flipped poses around, ready to train.
    """
    options = PullOptions(output, yes, dry_run, json_output)

    def work(progress: Any) -> Summary:
        from dataclasses import replace

        from lyra_data.sharing.pulling.choice import PartChoice
        from lyra_data.sharing.pulling.repositories import PullName

        parsed = PullName.parse(name)
        if type is not None and parsed.weights is None:
            parsed = replace(parsed, repository_type=type)
        choice = PartChoice.of(
            scenes=scenes,
            trajectories=trajectories,
            splits=split,
            min_quality=min_quality,
            where=where,
            modalities=modalities,
            max_gb=max_gb,
        )
        return run_pull(parsed, choice, options, progress)

    guarded(work, json_output)


def run_pull(name: PullName, choice: PartChoice, options: PullOptions, progress: Any) -> Summary:
    """Fetch what a name stands for, whole or the part that is chosen.

    Raises:
        InputError: nothing of that kind can be chosen, or nobody has agreed.
        DownloadError, StorageError: the Hub or the disk refuses.
        CorruptDataError: bytes are not what the manifest states.
    """
    from lyra_data.engine.errors import InputError
    from lyra_data.sharing.pulling.repositories import find_repository
    from lyra_data.sharing.pulling.whole import read_remote_manifest

    if name.weights is not None and choice.is_whole:
        return _pull_weights(name, options, progress)
    listing = find_repository(name)
    if choice.is_whole:
        return _pull_whole(name, listing, options, progress)
    if listing.repository_type != "dataset":
        raise InputError(
            f"a {listing.repository_type} has no scenes to choose from",
            where=listing.page,
            fix="leave --scenes and the other choices out: it is pulled whole",
        )
    manifest = read_remote_manifest(listing)
    if manifest is not None:
        from stages.verbs.pull_parts import pull_dataset_part

        return pull_dataset_part(name, listing, manifest, choice, options, progress)
    if any(file.name.endswith(".tar") for file in listing.files):
        from stages.verbs.pull_parts import pull_released_scenes

        return pull_released_scenes(name, listing, choice, options, progress)
    raise InputError(
        "it is no dataset of lyra-data (it has no meta/manifest.json), and has no tars of scenes",
        where=listing.page,
        fix="leave --scenes and the other choices out: it is pulled whole",
    )


def _pull_weights(name: PullName, options: PullOptions, progress: Any) -> Summary:
    from lyra_data.models.places import DOWNLOADS, weights_folder
    from stages.verbs.weights import pull_release

    assert name.weights is not None, name
    folder = options.output or weights_folder() / DOWNLOADS / name.weights
    return pull_release(
        name.weights,
        folder,
        name.tag,
        options.yes,
        options.json_output,
        progress,
        dry_run=options.dry_run,
    )


def _pull_whole(name: PullName, listing: Listing, options: PullOptions, progress: Any) -> Summary:
    from lyra_data.sharing.pulling.whole import plan_whole, pull_whole
    from stages.summary import Summary, counted
    from stages.verbs.consent import require_consent
    from stages.verbs.weights_texts import show_listing, size_text

    folder = options.output or Path(name.short)
    plan = plan_whole(listing, folder)
    show_listing(listing, plan.files, folder, to_stderr=options.json_output)
    facts: dict[str, Any] = {
        "repository": listing.repository,
        "type": listing.repository_type,
        "tag": name.tag,
        "revision": listing.revision,
        "licence": listing.licence,
        "output": str(folder),
        "num_files": len(listing.files),
        "num_bytes": listing.size,
        "fetched": [file.name for file in plan.files],
    }
    if plan.manifest is not None:
        facts["dataset_hash"] = plan.manifest.dataset_hash
    about = f"{listing.repository} at {listing.revision[:12]}"
    size = f"{counted(len(listing.files), 'file')}, {size_text(listing.size)}"
    if options.dry_run:
        return Summary("pull", f"{about}: {size}; nothing was fetched", facts)
    if plan.files:
        require_consent(options.yes)
    pull_whole(plan, progress=progress)
    checked = "every file has the hash that the Hub states"
    if plan.manifest is not None:
        checked += f" and the manifest; dataset hash {plan.manifest.dataset_hash[:12]}"
    return Summary("pull", f"{about}: {size} in {folder}", facts, (checked,))
