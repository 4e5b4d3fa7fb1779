"""weights: released weights, fetched by name, converted to what diffusers loads, and verified."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.options import JsonOption
from stages.running import guarded
from stages.summary import counted

if TYPE_CHECKING:
    from lyra_data.models.weights.hub_listing import Listing, RemoteFile
    from lyra_data.models.weights.manifest import Manifest
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

DOWNLOADS = Path("weights") / "downloads"
CONVERTED = Path("weights")


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
    guarded(lambda _: _list_releases(), json_output)


@weights_app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name that `lyra-data weights list` shows.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the files; weights/downloads/NAME by default.")
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
        lambda progress: _pull(
            name, output or DOWNLOADS / name, revision, yes, json_output, progress
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
        Path | None, typer.Option(help="A new folder; weights/KIND by default.")
    ] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="What weights are stored as; keep: as they are.")
    ] = Dtype.keep,
    rope_scale: Annotated[
        tuple[float, float, float],
        typer.Option(help="gen3c: of frames, rows, columns; no weight tells it."),
    ] = (2.0, 1.0, 1.0),
    json_output: JsonOption = False,
) -> None:
    """Turn released checkpoints into a folder of safetensors and configurations.

    No code in a checkpoint is run. Every weight that is missing, unexpected or misshapen is listed,
    and then nothing is written. The folder appears whole or not at all.
    """
    target = output or CONVERTED / kind.value

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
                text_encoder=text_encoder,
                output=target,
                dtype=dtype.value,
                rope_scale=rope_scale,
                progress=progress,
            )
        return _summary("convert", target, manifest)

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

        manifest = verify_weights(folder, progress=progress)
        unlisted, notes = unlisted_files(folder, manifest), provenance_notes(manifest)
        return _summary("verify", folder, manifest, unlisted=unlisted, notes=notes)

    guarded(work, json_output)


def _list_releases() -> Summary:
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from lyra_data.models.weights.catalogue import CATALOGUE
    from stages.summary import Summary

    table = Table(width=80, show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("repository, purpose, licence and where it is stated")
    for name, release in CATALOGUE.items():
        described = Text.assemble(
            (release.repository, "bold"),
            f"\n{release.purpose}\n{release.licence} ",
            (f"({release.licence_source})", "dim"),
        )
        table.add_row(name, described)
    releases = {name: asdict(release) for name, release in CATALOGUE.items()}
    headline = f"{len(CATALOGUE)} releases; `lyra-data weights pull NAME` fetches one"
    return Summary("list", headline, {"releases": releases}, (table,))


def _pull(
    name: str, folder: Path, revision: str | None, yes: bool, json_output: bool, progress: Any
) -> Summary:
    from lyra_data.models.weights.catalogue import find_release

    release = find_release(name)
    from lyra_data.models.weights.hub_download import fetch, files_to_fetch, require_space
    from lyra_data.models.weights.hub_listing import list_release

    listing = list_release(release, revision)
    files = files_to_fetch(listing, folder)
    _show(listing, files, folder, to_stderr=json_output)
    require_space(files, folder)
    if files and not yes:
        _ask()
    manifest = fetch(listing, files, folder, progress=progress)
    return _summary("pull", folder, manifest, fetched=[file.name for file in files])


def _show(listing: Listing, files: list[RemoteFile], folder: Path, *, to_stderr: bool) -> None:
    """Print what would be fetched: licence, sizes, and what is there already."""
    from rich.text import Text

    from lyra_data.models.weights.hub_download import bytes_to_fetch
    from stages.terminal import terminal

    lines = [
        Text.assemble((listing.repository, "bold"), f" at {listing.revision}"),
        Text(f"licence  {listing.licence}"),
    ]
    if listing.gated:
        lines.append(Text(f"gated    its licence must be accepted at {listing.page}"))
    to_fetch = {file.name for file in files}
    for file in listing.files:
        state = "" if file.name in to_fetch else "  is there, whole"
        lines.append(Text(f"  {_size(file.size):>10}  {file.name}{state}"))
    rest = bytes_to_fetch(files, folder)
    lines.append(Text(f"total    {_size(listing.size)}, {_size(rest)} to fetch into {folder}"))
    console = terminal(stderr=to_stderr)
    for line in lines:
        console.print(line, soft_wrap=True)


def _ask() -> None:
    from lyra_data.engine.errors import InputError

    if not sys.stdin.isatty():
        raise InputError(
            "nothing was fetched: nobody is there to confirm the size and the licence above",
            fix="run the same command with --yes",
        )
    if not typer.confirm("Fetch these files, and accept their licence?", err=True):
        raise typer.Exit(1)


def _size(num_bytes: int) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    size, unit = float(num_bytes), 0
    while size >= 1000 and unit < len(units) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {units[unit]}" if unit == 0 else f"{size:.1f} {units[unit]}"


def _summary(verb: str, folder: Path, manifest: Manifest, **facts: Any) -> Summary:
    from lyra_data.models.weights.manifest import weights_fingerprint
    from stages.summary import Summary

    size = sum(record.size for record in manifest.files.values())
    fingerprint = weights_fingerprint(folder)
    files = counted(len(manifest.files), "file")
    headline = f"{folder}: {manifest.kind}, {files}, {_size(size)}, {fingerprint}"
    notes = [
        *(f"{name} is not listed in weights.json" for name in facts.get("unlisted", ())),
        *facts.get("notes", ()),
    ]
    return Summary(
        verb,
        headline,
        {
            "folder": str(folder),
            "kind": manifest.kind,
            "fingerprint": fingerprint,
            "files": sorted(manifest.files),
            "size": size,
            **facts,
        },
        tuple(f"note: {note}" for note in notes),
    )
