"""weights: released weights, fetched by name, converted to what diffusers loads, and verified."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lyra_data.models import places
from lyra_data.models.places import PROJECT_FOLDER, find_weights, weights_folder
from stages.options import JsonOption
from stages.running import guarded
from stages.verbs.consent import require_consent
from stages.verbs.weights_texts import list_releases, show_listing, summary_of_weights

if TYPE_CHECKING:
    from stages.summary import Summary

weights_app = typer.Typer(
    name="weights",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help=(
        "Released weights: list, pull, convert, verify. A folder of weights says in weights.json "
        "what each of its files holds (sha256) and what it was made from."
    ),
)

DOWNLOADS = Path(PROJECT_FOLDER) / places.DOWNLOADS
"""Folder of what `pull` fetched: the project's, else the shared one, as `find_weights` finds it."""


class Kind(StrEnum):
    """A model that convert can make."""

    gen3c = "gen3c"
    cosmos_tokenizer = "cosmos-tokenizer"
    lyra = "lyra"


class Dtype(StrEnum):
    """The number format that weights are stored in."""

    keep = "keep"
    bfloat16 = "bfloat16"
    float16 = "float16"
    float32 = "float32"


@weights_app.command("list")
def list_weights(json_output: JsonOption = False) -> None:
    """Show the releases that are known by name, what each is for, and its licence.

    The licence is as the publisher stated it where and when is said; `pull` shows the present one.
    """
    guarded(lambda _: list_releases(), json_output)


@weights_app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name that `lyra-data weights list` shows.")],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the files; downloads/NAME in LYRA_WEIGHTS or the user's cache "
            "by default, where every project finds them."
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the repository.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before fetching.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Fetch released weights from the Hugging Face Hub, after showing their size and licence.

    Every file is checked against the Hub's hash. Stopped or cut, the same command goes on where it
    stopped, inside a file too; whole files are not fetched again.
    """
    guarded(
        lambda progress: pull_release(
            name,
            output or weights_folder() / places.DOWNLOADS / name,
            revision,
            yes,
            json_output,
            progress,
        ),
        json_output,
    )


@weights_app.command()
def convert(
    kind: Annotated[Kind, typer.Argument(help="What to make.")],
    network: Annotated[
        Path, typer.Option(help="gen3c: the released model.pt, or its folder.")
    ] = DOWNLOADS / "gen3c",
    tokenizer: Annotated[
        Path,
        typer.Option(
            help="gen3c, cosmos-tokenizer: the folder of encoder.jit and decoder.jit, or one file "
            "(autoencoder.jit, model.pt, .safetensors)."
        ),
    ] = DOWNLOADS / "cosmos-tokenizer",
    statistics: Annotated[
        Path | None,
        typer.Option(help="mean_std.pt; beside the tokenizer or the network by default."),
    ] = None,
    text_encoder: Annotated[
        Path | None,
        typer.Option(help="gen3c: a T5 folder for prompts; its files are linked, not copied."),
    ] = None,
    decoder: Annotated[
        Path, typer.Option(help="lyra: the released lyra_static.pt or lyra_dynamic.pt.")
    ] = DOWNLOADS / "lyra" / "lyra_static.pt",
    dynamic: Annotated[
        bool | None,
        typer.Option(
            "--dynamic/--static",
            help="lyra: whether it reads times; as the file's name says by default.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="A new folder; KIND in LYRA_WEIGHTS or the user's cache by default, where every "
            "project finds it; lyra: weights/lyra here, for a phase to start from."
        ),
    ] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="What weights are stored as; keep: as they are.")
    ] = Dtype.keep,
    rope_scale: Annotated[
        tuple[float, float, float],
        typer.Option(metavar="T H W", help="gen3c: of frames, rows, columns; no weight tells it."),
    ] = (2.0, 1.0, 1.0),
    json_output: JsonOption = False,
) -> None:
    """Turn released checkpoints into a folder of safetensors and configurations.

    No code in a checkpoint is run. Every weight that is missing, unexpected or misshapen is listed,
    and then nothing is written. The folder appears whole or not at all.
    """
    shared = PROJECT_FOLDER if kind is Kind.lyra else weights_folder()
    target = output or Path(shared) / kind.value
    network, tokenizer, decoder = (
        find_weights(path, Path()) for path in (network, tokenizer, decoder)
    )

    def work(progress: Any) -> Summary:
        from lyra_data.models.weights.convert import convert_gen3c, convert_tokenizer

        if kind is Kind.lyra:
            from lyra_model.training.released_decoder import convert_decoder

            manifest = convert_decoder(decoder=decoder, output=target, dynamic=dynamic)
        elif kind is Kind.cosmos_tokenizer:
            manifest = convert_tokenizer(
                tokenizer=tokenizer,
                statistics=statistics,
                output=target,
                dtype=dtype.value,
                progress=progress,
            )
        else:
            manifest = convert_gen3c(
                network=network,
                tokenizer=tokenizer,
                statistics=statistics,
                text_encoder=text_encoder and find_weights(text_encoder, Path()),
                output=target,
                dtype=dtype.value,
                rope_scale=rope_scale,
                progress=progress,
            )
        return summary_of_weights("convert", target, manifest)

    guarded(work, json_output)


@weights_app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder that convert or pull has written.")],
    json_output: JsonOption = False,
) -> None:
    """Hash every file again, and hold every weight against its model's configuration.

    Names every file that is missing, cut or altered, and every weight that is missing, unexpected
    or misshapen.
    """

    def work(progress: Any) -> Summary:
        from lyra_data.models.weights.verify import (
            provenance_notes,
            unlisted_files,
            verify_weights,
        )

        there = find_weights(folder, Path())
        manifest = verify_weights(there, progress=progress)
        unlisted, notes = unlisted_files(there, manifest), provenance_notes(manifest)
        return summary_of_weights("verify", there, manifest, unlisted=unlisted, notes=notes)

    guarded(work, json_output)


def pull_release(
    name: str,
    folder: Path,
    revision: str | None,
    yes: bool,
    json_output: bool,
    progress: Any,
    *,
    dry_run: bool = False,
) -> Summary:
    """Fetch a release of the catalogue into a folder, after showing what it holds.

    Raises:
        InputError: the name is unknown, or nobody has agreed.
        DownloadError, StorageError: the Hub or the disk refuses.
    """
    from lyra_data.hub.download import files_to_fetch, require_space
    from lyra_data.models.weights.catalogue import find_release
    from lyra_data.models.weights.pulling import list_release, pull_weights
    from stages.summary import Summary

    release = find_release(name)
    listing = list_release(release, revision)
    files = files_to_fetch(listing, folder)
    show_listing(listing, files, folder, to_stderr=json_output)
    if dry_run:
        facts = {"folder": str(folder), "revision": listing.revision, "size": listing.size}
        return Summary("pull", f"{listing.repository}: nothing was fetched", facts)
    require_space(files, folder)
    if files:
        require_consent(yes)
    manifest = pull_weights(listing, files, folder, progress=progress)
    return summary_of_weights("pull", folder, manifest, fetched=[file.name for file in files])
