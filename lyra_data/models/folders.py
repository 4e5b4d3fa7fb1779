"""Model folders: where a model lies on this disk, and which one exactly it is.

Nothing is downloaded here. Models have up to tens of gigabytes, and some have a licence to accept
first: the user fetches them by a command, which the error names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lyra_data.engine.errors import ParamsError
from lyra_data.models.places import DOWNLOADS, PROJECT_FOLDER, find_weights
from lyra_data.models.weights.catalogue import CATALOGUE
from lyra_data.models.weights.manifest import MANIFEST, read_manifest, weights_fingerprint

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""A repository of the Hugging Face Hub: OWNER/NAME."""


@dataclass(frozen=True)
class ModelFolder:
    """A model on this disk.

    Attributes:
        path: the folder that holds its files.
        identity: names the exact weights: OWNER/NAME@COMMIT of the Hub, or the user's folder's
            NAME@weights-HASH.
    """

    path: Path
    identity: str


def find_model(model: str, revision: str | None, *, root: Path, where: str) -> ModelFolder:
    """Find the folder of a model: the user's own, one that was pulled, or the Hub's cache.

    Args:
        model: a folder (absolute, or relative to `root`), or OWNER/NAME on the Hub.
        revision: commit, tag or branch on the Hub; None: the one its default branch had when it
            was fetched.
        root: the folder of params.yaml.
        where: the part of params that names the model.

    Raises:
        ParamsError: it is nowhere on this disk; names the command that gets it.
    """
    own = find_weights(model, root)
    if own.is_dir():
        if revision is not None:
            raise ParamsError(
                f"revision {revision!r} of a folder: only a model of the Hub has revisions",
                where=where,
                fix="set revision: null",
            )
        return ModelFolder(own, f"{own.resolve().name}@{weights_fingerprint(own)}")
    if HUB_ID.fullmatch(model) is None:
        raise ParamsError(
            f"model {model!r} is no folder on this disk and no OWNER/NAME of the Hugging Face Hub",
            where=where,
            fix=f"correct the path (it starts from {root.resolve()}), or name a model of the Hub",
        )
    folder = _pulled(model, revision, root) or _in_hub_cache(model, revision)
    if folder is None:
        at = "" if revision is None else f" at revision {revision}"
        raise ParamsError(
            f"model {model!r} is not on this machine{at}",
            where=where,
            fix=f"run `{fetching_command(model, revision)}`; if it is gated, accept its licence on "
            f"https://huggingface.co/{model} and run `hf auth login` before",
        )
    return folder


def fetching_command(model: str, revision: str | None) -> str:
    """Return the command that gets a model of the Hub."""
    option = "" if revision is None else f" --revision {revision}"
    name = _catalogue_name(model)
    command = f"hf download {model}" if name is None else f"lyra-data weights pull {name}"
    return f"{command}{option}"


def _catalogue_name(model: str) -> str | None:
    names = (name for name, release in CATALOGUE.items() if release.repository == model)
    return next(names, None)


def _pulled(model: str, revision: str | None, root: Path) -> ModelFolder | None:
    path = Path(PROJECT_FOLDER) / DOWNLOADS / (_catalogue_name(model) or "")
    folder = find_weights(path, root)
    if not (folder / MANIFEST).is_file():
        return None
    facts = read_manifest(folder).facts
    if facts.get("repository") != model or revision not in (None, facts.get("revision")):
        return None
    return ModelFolder(folder, f"{model}@{facts['revision']}")


def _in_hub_cache(model: str, revision: str | None) -> ModelFolder | None:
    """Find a snapshot in the Hub's cache, whose folder is named by its commit. The network is not
    asked."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        path = Path(snapshot_download(model, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return ModelFolder(path, f"{model}@{path.name}")
