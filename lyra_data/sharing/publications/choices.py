"""The repository and licence that a result is published under, and its files with their card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.sharing.cards.card import Card
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.licences.conflicts import conflicts_of, derived_licence
from lyra_data.sharing.licences.known import require_licence
from lyra_data.sharing.licences.licence import ALL_RIGHTS_RESERVED, Licence
from lyra_data.sharing.licences.uses import SOURCES_KEY, Statements, Use
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publishing import PublishedFile, file_of_bytes
from lyra_data.sharing.publishing.hash_cache import HashCache

CARD = "README.md"
MOST_CONFLICTS = 5
"""Conflicts of licences that a message describes; the rest is counted."""


def hash_cache(scratch: Path) -> HashCache:
    """Return the hashes of files that earlier calls found."""
    return HashCache(scratch / "publish" / "hashes")


def statements_of(params: PublishParams, kind: Kind) -> Statements:
    """Return the licences that params state. Of a dataset, every source that they name is one of
    its scenes; a model or a scene was made of some of them."""
    must_fit = (SOURCES_KEY,) if kind is Kind.dataset else ()
    return Statements(params.source_licences, params.model_licences, must_fit)


def with_card(files: Iterable[PublishedFile], card: Card) -> tuple[PublishedFile, ...]:
    """Return the files with the card and what it brings, which takes the place of theirs."""
    brought = {CARD: card.text.encode(), **card.files}
    kept = [file for file in files if file.path not in brought]
    return (*kept, *(file_of_bytes(path, content) for path, content in brought.items()))


def required_repository(repository: str | None, kind: Kind) -> str:
    """Return the repository.

    Raises:
        ParamsError: none is named.
    """
    if repository is None:
        raise ParamsError(
            "no repository is named",
            where=f"publish.{kind.value}.repository",
            fix="give --repository OWNER/NAME, or write it in params.yaml",
        )
    return repository


def required_licence(
    name: str | None, uses: Sequence[Use], kind: Kind, *, is_private: bool
) -> Licence:
    """Return the licence to publish under.

    Args:
        name: as params have it.
        uses: everything that the result depends on.
        is_private: whether nobody but the owner is to see it.

    Raises:
        ParamsError: none is stated; the message proposes one that goes with `uses`.
        InputError: it is not known, or does not go with `uses`; or it grants nothing to a public
            that is to see the result.
    """
    where = f"publish.{kind.value}.licence"
    if name is None:
        fitting = derived_licence(uses)
        goes = f"{fitting.identifier if fitting else ALL_RIGHTS_RESERVED} goes with everything"
        kept = "" if fitting else ", in a private repository"
        raise ParamsError(
            "no licence is stated",
            where=where,
            fix=f"give --licence, or write it in params.yaml; {goes} that this was made of{kept}",
        )
    licence = require_licence(name, where=where)
    against = conflicts_of(uses, licence)
    if against:
        texts = [str(conflict) for conflict in against[:MOST_CONFLICTS]]
        rest = [f"and {len(against) - len(texts)} more"] if len(against) > len(texts) else []
        lines = "\n".join([*texts, *rest])
        raise InputError(
            f"{licence.identifier} does not go with what this was made of:\n{lines}",
            where=where,
            fix="do one of what is proposed for each",
        )
    if licence.is_private and not is_private:
        raise InputError(
            f"{licence.identifier} grants nobody anything, and the repository is to be public",
            where=where,
            fix="publish it in private (--private), or under a licence that lets others use it",
        )
    return licence
