"""Locations of checkpoints: a folder, a name of those that are shipped, a repository of the Hub."""

from __future__ import annotations

import re
from pathlib import Path

from lyra_data.engine.errors import InputError
from lyra_model.phases.checkpoints import CONFIG, HISTORY, WEIGHTS
from lyra_model.phases.shipped import SHIPPED, shipped_checkpoint

HUB = "hf://"


def checkpoint_folder(location: Path | str) -> Path:
    """Return the folder of a checkpoint.

    Args:
        location: a folder; or the name of one that is shipped, where no such folder is here; or
            hf://OWNER/NAME of the Hub, with @REVISION and /FOLDER where they are
            needed, which is fetched into the Hub's cache; or OWNER/NAME, where no such folder is
            here.

    Raises:
        InputError: there is no such folder, and it names nothing of the Hub.
        DownloadError: the Hub does not have it, refuses it, or cannot be reached.
    """
    path = Path(location)
    if path.is_dir():
        return path
    shipped = shipped_checkpoint(str(location))
    if shipped is not None:
        return shipped
    uri = hub_uri(location)
    if uri is not None:
        return fetched_checkpoint(uri)
    raise InputError(
        "there is no such folder" if not path.exists() else "this is a file, not a checkpoint",
        where=str(path),
        fix=f"give a folder of outputs/models, {' or '.join(SHIPPED)}, which is shipped, or "
        "hf://OWNER/NAME of the Hub; released weights "
        "(lyra_static.pt) become a folder by `lyra-data weights convert lyra`",
    )


def hub_uri(location: Path | str) -> str | None:
    """Return the hf:// address that a location is; None: it is a path.

    OWNER/NAME is one where nothing here is called OWNER.
    """
    if not isinstance(location, str) or location.startswith(HUB):
        return None if isinstance(location, Path) else location
    owner = re.fullmatch(r"([\w.-]+)/[\w.-]+(?:@[\w.%-]+)?", location, re.ASCII)
    if owner is None or owner[1].startswith(".") or Path(owner[1]).exists():
        return None
    return HUB + location


def fetched_checkpoint(uri: str) -> Path:
    """Fetch a checkpoint of the Hub where it is not in the cache yet, and return its folder there.

    Raises:
        InputError: the address is none of a model.
        DownloadError: the Hub does not have it, refuses it, or cannot be reached.
    """
    from lyra_data.hub.cached import fetch_to_cache
    from lyra_data.hub.folder import HubAddress

    address = HubAddress.parse(uri)
    if address is None or address.repository_type != "model":
        raise InputError(
            "this is no address of a model", where=uri, fix="write hf://OWNER/NAME[@REVISION]"
        )
    return fetch_to_cache(address, (CONFIG, WEIGHTS, HISTORY))
