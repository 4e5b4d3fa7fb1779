"""Find what is to be pulled: a short name or OWNER/NAME[@TAG], and what the Hub holds there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lyra_data.engine.errors import InputError
from lyra_data.engine.names import shortened
from lyra_data.engine.params import suggestion
from lyra_data.hub.errors import DownloadError
from lyra_data.hub.listing import Listing, list_repository
from lyra_data.models.weights.catalogue import CATALOGUE

RELEASED_DATASETS: Mapping[str, str] = {
    "lyra-sdg": "nvidia/PhysicalAI-SpatialIntelligence-Lyra-SDG",
    "lyra-demo": "nvidia/Lyra-Testing-Example",
}
"""Datasets that others released, by short name."""

RELEASED_WEIGHTS: Mapping[str, str] = {
    **{name: name for name in CATALOGUE},
    "tokenizer": "cosmos-tokenizer",
}
"""Names of the catalogue of weights, by short name."""

TYPES = ("dataset", "model", "space")

_NAME = re.compile(r"([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)(?:@(.+))?")


@dataclass(frozen=True)
class PullName:
    """A name of what is to be pulled, taken apart.

    Attributes:
        repository: OWNER/NAME; of released weights, too.
        tag: tag, branch or commit; None: the main branch.
        short: its last part, which names the folder.
        weights: name in the catalogue of weights; None: no released weights.
        repository_type: where the name says it.
    """

    repository: str
    tag: str | None
    short: str
    weights: str | None = None
    repository_type: str | None = None

    @staticmethod
    def parse(text: str) -> PullName:
        """Take a name apart.

        Raises:
            InputError: it is neither a short name nor OWNER/NAME[@TAG].
        """
        short, _, tag = text.partition("@")
        if short in RELEASED_DATASETS:
            return PullName(RELEASED_DATASETS[short], tag or None, short, None, "dataset")
        if short in RELEASED_WEIGHTS:
            weights = RELEASED_WEIGHTS[short]
            return PullName(CATALOGUE[weights].repository, tag or None, short, weights, "model")
        name = _NAME.fullmatch(text.removeprefix("hf://").removeprefix("datasets/"))
        if name is None or ".." in text:
            known = sorted({*RELEASED_DATASETS, *RELEASED_WEIGHTS})
            raise InputError(
                f"{shortened(text)} is neither OWNER/NAME[@TAG] nor a short name",
                where="lyra-data pull",
                fix=suggestion(short, known),
            )
        repository, tag = name.groups()
        kind = "dataset" if text.startswith("hf://datasets/") else None
        return PullName(repository, tag, repository.split("/")[1], None, kind)


def find_repository(name: PullName) -> Listing:
    """Return what the Hub holds of a repository, whatever its type.

    Raises:
        DownloadError: there is none, none with such a tag, or no access.
        InputError: there are a dataset and a model of that name.
    """
    listings, missing = {}, None
    for kind in TYPES if name.repository_type is None else (name.repository_type,):
        if kind == "space" and listings:
            continue
        try:
            listings[kind] = list_repository(
                name.repository, repository_type=kind, revision=name.tag
            )
        except DownloadError as error:
            if not is_missing(error):
                raise
            missing = missing or error
    if len(listings) > 1:
        raise InputError(
            "there are a dataset and a model of this name",
            where=name.repository,
            fix="say which one with --type dataset or --type model",
        )
    if not listings:
        assert missing is not None, name
        raise _nothing_there(name, missing) from missing
    (listing,) = listings.values()
    return listing


def is_missing(error: DownloadError) -> bool:
    """Return whether the Hub says that there is no such repository, or none that we may see."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    cause = error.__cause__
    return isinstance(cause, RepositoryNotFoundError) and not isinstance(cause, GatedRepoError)


def _nothing_there(name: PullName, missing: DownloadError) -> DownloadError:
    """Return the error of a name that nothing has, or nothing of the type that was asked for."""
    if name.repository_type is None:
        what = missing.what.replace("no such repository", "no such dataset, model or space")
        return DownloadError(what, where=name.repository, fix=missing.fix)
    for kind in TYPES:
        try:
            list_repository(name.repository, repository_type=kind, revision=name.tag)
        except DownloadError:
            continue
        return DownloadError(
            f"it is a {kind}, not a {name.repository_type}",
            where=name.repository,
            fix=f"say --type {kind}, or leave --type out",
        )
    return missing
