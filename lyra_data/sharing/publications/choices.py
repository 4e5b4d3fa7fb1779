"""The repository and licence that a result is published under, and its files with their card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.provenance import project_commit
from lyra_data.sharing.cards.card import Card, require_no_secret
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.licences.conflicts import (
    conflicts_of,
    derived_licence,
    describe_conflicts,
)
from lyra_data.sharing.licences.known import require_licence
from lyra_data.sharing.licences.licence import ALL_RIGHTS_RESERVED, Licence
from lyra_data.sharing.licences.uses import SOURCES_KEY, Statements, Use
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publishing import PublishedFile, file_of_bytes
from lyra_data.sharing.publishing.hash_cache import HashCache

CARD = "README.md"

TEXTS = (".csv", ".json", ".md", ".txt", ".yaml")
"""Files that are read for tokens before they are published, up to MOST_TEXT_BYTES."""

MOST_TEXT_BYTES = 64 * 2**20


def hash_cache(scratch: Path) -> HashCache:
    """Return the hashes of files that earlier calls found."""
    return HashCache(scratch / "publish" / "hashes.jsonl")


def statements_of(params: PublishParams, kind: Kind) -> Statements:
    """Return the licences that params state. Of a dataset, every source that they name is one of
    its scenes; a model or a scene was made of some of them."""
    must_fit = (SOURCES_KEY,) if kind is Kind.dataset else ()
    return Statements(params.source_licences, params.model_licences, must_fit)


def with_card(files: Iterable[PublishedFile], card: Card) -> tuple[PublishedFile, ...]:
    """Return the files with the card and what it brings, which takes the place of theirs.

    Raises:
        InputError: one of the texts among them holds a token or a password.
    """
    brought = {CARD: card.text.encode(), **card.files}
    kept = [file for file in files if file.path not in brought]
    every = (*kept, *(file_of_bytes(path, content) for path, content in brought.items()))
    for file in every:
        if PurePosixPath(file.path).suffix in TEXTS and file.size <= MOST_TEXT_BYTES:
            content = file.source if isinstance(file.source, bytes) else file.source.read_bytes()
            require_no_secret(content.decode(errors="replace"), where=file.path)
    return every


def project_facts(root: Path, folder: Path, made_by: MadeBy) -> dict[str, Any]:
    """Return what ties a result to the history of the project at `root`.

    Returns:
        "project_commit": of git, see `project_commit`; "dvc_lock": the hash that dvc.lock states of
            the output that the folder is or lies in, None where it knows none.
    """
    name = "."
    if folder.resolve().is_relative_to(root.resolve()):
        name = folder.resolve().relative_to(root.resolve()).as_posix()
    names = (name, *(parent.as_posix() for parent in PurePosixPath(name).parents))
    locked = next((made_by.outs[one] for one in names if one in made_by.outs), None)
    return {"project_commit": project_commit(root), "dvc_lock": locked}


def required_repository(repository: str | None, licence: str | None, kind: Kind) -> str:
    """Return the repository.

    Args:
        licence: as params have it; where it is missing too, both are asked for at once.

    Raises:
        ParamsError: no repository is named.
    """
    if repository is not None:
        return repository
    section = f"publish.{kind.value}"
    if licence is None:
        raise ParamsError(
            "no repository is named, and no licence is stated",
            where=f"{section}.repository, {section}.licence",
            fix="give --repository OWNER/NAME and --licence (e.g. CC-BY-4.0; what the sources "
            "forbid is refused), or write them in params.yaml",
        )
    raise ParamsError(
        "no repository is named",
        where=f"{section}.repository",
        fix="give --repository OWNER/NAME, or write it in params.yaml",
    )


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
    holds_copies = kind is not Kind.model
    if name is None:
        fitting = derived_licence(uses, holds_copies=holds_copies)
        goes = f"{fitting.identifier if fitting else ALL_RIGHTS_RESERVED} goes with everything"
        kept = "" if fitting else ", in a private repository"
        raise ParamsError(
            "no licence is stated",
            where=where,
            fix=f"give --licence, or write it in params.yaml; {goes} that this was made of{kept}",
        )
    licence = require_licence(name, where=where)
    against = conflicts_of(uses, licence, holds_copies=holds_copies)
    if against:
        raise InputError(
            f"{licence.identifier} does not go with what this was made of:\n"
            + describe_conflicts(against),
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
