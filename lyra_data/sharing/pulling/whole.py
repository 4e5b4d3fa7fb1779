"""Pull a repository whole, its files held against the Hub's hashes and the dataset's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lyra_data.dataset.format.manifest import (
    CARD_PATH,
    MANIFEST_PATH,
    FileEntry,
    Manifest,
    ShardEntry,
    parse_manifest,
)
from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import files_below
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.progress import Progress
from lyra_data.hub.download import UNFINISHED, fetch_files, files_to_fetch, require_space
from lyra_data.hub.listing import Listing, RemoteFile
from lyra_data.hub.ranges import HubRanges
from lyra_data.models.weights import manifest as weights_manifest
from lyra_data.models.weights.pulling import pull_weights

ASK = "do not use this revision; pull another tag, or ask who published it"


@dataclass(frozen=True)
class WholePull:
    """The files of a repository that go into a folder.

    Attributes:
        files: those that are not there yet.
        manifest: of a dataset of ours; None: it is none.
    """

    listing: Listing
    folder: Path
    files: list[RemoteFile]
    manifest: Manifest | None


def plan_whole(listing: Listing, folder: Path) -> WholePull:
    """Return what is to be fetched; nothing is written.

    Raises:
        DownloadError: the Hub refuses or cannot be reached.
        CorruptDataError: the dataset's manifest is altered, names files outside its folder, or
            files are not what it states.
        InputError: files of another content stand in the folder.
    """
    manifest = read_remote_manifest(listing)
    if manifest is not None:
        _require_as_stated(listing, manifest)
    if folder.exists() and not folder.is_dir():
        raise InputError(
            "a file stands here, and a pull makes a folder",
            where=str(folder),
            fix="name another folder with --output",
        )
    files = files_to_fetch(listing, folder)
    _require_own_folder(listing, files, folder)
    return WholePull(listing, folder, files, manifest)


def pull_whole(plan: WholePull, *, progress: Progress) -> None:
    """Fetch the files; a killed pull goes on where it stopped, inside a file too.

    A model gets a weights.json, which `lyra-data weights verify` reads.

    Raises:
        DownloadError, StorageError: as `fetch_files`.
        CorruptDataError: a file is not what the dataset's manifest states.
    """
    require_space(plan.files, plan.folder)
    states_weights = plan.listing.repository_type == "model" and not _names_weights(plan.listing)
    if states_weights:
        pull_weights(plan.listing, plan.files, plan.folder, progress=progress)
    else:
        fetch_files(plan.listing, plan.files, plan.folder, progress=progress)
    if plan.manifest is None:
        return
    hashed = {file.name for file in plan.listing.files if file.sha256 is not None}
    with storage_errors(plan.folder):
        for entry in _entries(plan.manifest):
            if entry.path not in hashed and _differs(plan.folder / entry.path, entry):
                raise _unlike_manifest(entry.path, plan.listing.page)


def read_remote_manifest(listing: Listing) -> Manifest | None:
    """Return the manifest of a dataset of ours; None: the repository has none.

    Raises:
        DownloadError: the Hub refuses or cannot be reached.
        CorruptDataError: it is altered, or names files outside its folder.
    """
    name = MANIFEST_PATH.as_posix()
    if listing.repository_type != "dataset" or all(file.name != name for file in listing.files):
        return None
    ranges = HubRanges(listing.repository, listing.repository_type, listing.revision)
    return parse_manifest(ranges.read_whole(name), f"{listing.page}: {name}")


def _require_as_stated(listing: Listing, manifest: Manifest) -> None:
    """Compare sizes and hashes that the Hub states with the manifest's, before anything is fetched.

    Raises:
        CorruptDataError: a file is missing, or is another one.
    """
    files: Mapping[str, RemoteFile] = {file.name: file for file in listing.files}
    for entry in _entries(manifest):
        file = files.get(entry.path)
        if file is None:
            raise CorruptDataError(
                f"has no {entry.path}, which its manifest names", where=listing.page, fix=ASK
            )
        if file.size != entry.size or file.sha256 not in (None, entry.sha256):
            raise _unlike_manifest(entry.path, listing.page)


def _require_own_folder(listing: Listing, files: list[RemoteFile], folder: Path) -> None:
    """Refuse to replace files, or to mix them with those of another revision."""
    if not folder.is_dir():
        return
    changed = next((file.name for file in files if (folder / file.name).exists()), None)
    if changed is not None:
        raise InputError(
            f"{changed} is there with another content, and nothing is replaced",
            where=str(folder),
            fix="name another folder with --output; or remove that file, and run it again",
        )
    names = {file.name for file in listing.files} | {weights_manifest.MANIFEST}
    paths = (path.relative_to(folder).as_posix() for path in files_below(folder))
    others = sorted(path for path in paths if path not in names and not path.startswith(UNFINISHED))
    if others and files:
        raise InputError(
            f"it holds {others[0]}, which this revision of {listing.repository} does not have",
            where=str(folder),
            fix="name another folder with --output",
        )


def _names_weights(listing: Listing) -> bool:
    return any(file.name == weights_manifest.MANIFEST for file in listing.files)


def _entries(manifest: Manifest) -> list[FileEntry | ShardEntry]:
    """Return all files but the card: people edit it on the repository's page."""
    every = (*manifest.files, *manifest.shards)
    return [entry for entry in every if entry.path != CARD_PATH.as_posix()]


def _differs(path: Path, entry: FileEntry | ShardEntry) -> bool:
    return path.stat().st_size != entry.size or sha256_of_file(path) != entry.sha256


def _unlike_manifest(path: str, page: str) -> CorruptDataError:
    return CorruptDataError(
        f"{path} is not the file that the dataset's manifest states", where=page, fix=ASK
    )
