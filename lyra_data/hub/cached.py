"""Fetch some files of a repository into the Hub's own cache, where other tools find them too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from lyra_data.hub.errors import DownloadError, hub_errors, repository_page
from lyra_data.hub.folder import HubAddress


def fetch_to_cache(address: HubAddress, names: Sequence[str]) -> Path:
    """Return the folder in the cache that has the named files of a folder of the Hub.

    The same commit is fetched once. Where the Hub cannot be reached, what was fetched of this
    revision before is taken.

    Raises:
        DownloadError: the Hub refuses, cannot be reached and nothing is kept, or has no such file.
    """
    files = [address.path_of(name) for name in names]
    with hub_errors(address.repository, address.revision, address.repository_type):
        try:
            snapshot = snapshot_download(
                address.repository,
                repo_type=address.repository_type,
                revision=address.revision,
                allow_patterns=files,
                cache_dir=constants.HF_HUB_CACHE,
            )
        except LocalEntryNotFoundError as error:
            raise error.__cause__ or error from None  # the client hides why it looked there
    missing = [file for file in files if not Path(snapshot, file).is_file()]
    if missing:
        raise DownloadError(
            f"holds no {missing[0]}, or was not fetched whole before the network went",
            where=repository_page(address.repository, address.repository_type),
            fix="name a repository, a revision and a folder that have it: its page shows its files",
        )
    return Path(snapshot, address.folder)
