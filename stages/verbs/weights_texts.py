"""Texts of the verb weights: the list of releases, what would be fetched, what a folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.summary import Summary, counted, size_text

if TYPE_CHECKING:
    from lyra_data.hub.listing import Listing, RemoteFile
    from lyra_data.models.weights.manifest import Manifest


def list_releases() -> Summary:
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from lyra_data.models.weights.catalogue import CATALOGUE

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


def show_listing(
    listing: Listing, files: list[RemoteFile], folder: Path, *, to_stderr: bool
) -> None:
    """Print what would be fetched: licence, sizes, and what is there already."""
    from rich.text import Text

    from lyra_data.hub.download import bytes_to_fetch
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
        lines.append(Text(f"  {size_text(file.size):>10}  {file.name}{state}"))
    rest = bytes_to_fetch(files, folder)
    lines.append(
        Text(f"total    {size_text(listing.size)}, {size_text(rest)} to fetch into {folder}")
    )
    console = terminal(stderr=to_stderr)
    for line in lines:
        console.print(line, soft_wrap=True)


def summary_of_weights(verb: str, folder: Path, manifest: Manifest, **facts: Any) -> Summary:
    from lyra_data.models.weights.manifest import weights_fingerprint

    size = sum(record.size for record in manifest.files.values())
    fingerprint = weights_fingerprint(folder)
    files = counted(len(manifest.files), "file")
    headline = f"{folder}: {manifest.kind}, {files}, {size_text(size)}, {fingerprint}"
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
