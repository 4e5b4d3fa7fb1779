"""Pull released weights: fetch the files of a release and state them in weights.json."""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.atomic import storage_errors
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.progress import Progress, silent
from lyra_data.hub.download import fetch_files
from lyra_data.hub.listing import Listing, RemoteFile, list_repository
from lyra_data.models.weights.catalogue import Release
from lyra_data.models.weights.manifest import FileRecord, Manifest


def list_release(release: Release, revision: str | None = None) -> Listing:
    """Return what the Hub holds of a release.

    Raises:
        DownloadError: as `list_repository`.
    """
    return list_repository(release.repository, revision=revision, excluded=release.excluded)


def pull_weights(
    listing: Listing, files: list[RemoteFile], folder: Path, *, progress: Progress = silent
) -> Manifest:
    """Fetch `files` of the listing into `folder`, and state all of its files in weights.json.

    Raises:
        DownloadError, StorageError: as `fetch_files`.
    """
    fetch_files(listing, files, folder, progress=progress)
    with storage_errors(folder):
        records = {file.name: _record(file, folder / file.name) for file in listing.files}
        facts = {
            "repository": listing.repository,
            "revision": listing.revision,
            "licence": listing.licence,
        }
        manifest = Manifest("download", records, facts=facts)
        manifest.write(folder)
    return manifest


def _record(file: RemoteFile, path: Path) -> FileRecord:
    return FileRecord(file.size, file.sha256 or sha256_of_file(path))
