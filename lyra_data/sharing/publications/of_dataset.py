"""Publish a dataset: the files that its manifest names, and a card written from them."""

from __future__ import annotations

from pathlib import Path

from lyra_data.dataset.format.manifest import CARD_PATH, FETCH_OR_PACKAGE_AGAIN, Manifest
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import CorruptDataError
from lyra_data.sharing.cards.dataset_card import dataset_card
from lyra_data.sharing.cards.made_by import DATASET_STAGES, read_made_by
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.licences.uses import count_uses, read_view_rows
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publications.choices import (
    hash_cache,
    project_facts,
    required_licence,
    required_repository,
    statements_of,
    with_card,
)
from lyra_data.sharing.publishing import Publication, PublishedFile
from lyra_data.sharing.publishing.hash_cache import HashCache


def publication_of_dataset(
    folder: Path, params: PublishParams, *, root: Path, scratch: Path
) -> Publication:
    """Return what is to be published of a dataset.

    Args:
        folder: of the dataset.
        root: the project that it was made in.
        scratch: keeps hashes of files that are known already.

    Raises:
        ParamsError: no repository or licence is stated.
        InputError: the licence does not go with what the dataset was made of.
        CorruptDataError: a file is missing, cut or altered.
    """
    kind, wanted = Kind.dataset, params.dataset
    repository = required_repository(wanted.repository, wanted.licence, kind)
    dataset, stated = SceneDataset(folder), statements_of(params, kind)
    uses = count_uses(read_view_rows(dataset), stated)
    licence = required_licence(wanted.licence, uses, kind, is_private=params.private)
    made_by = read_made_by(root, DATASET_STAGES)
    card = dataset_card(
        folder,
        licence=licence.identifier,
        repository=repository,
        version=params.version,
        made_by=made_by,
        stated=stated,
    )
    return Publication(
        repository,
        kind.repository_type,
        params.version,
        with_card(_files_of(folder, dataset.manifest, hash_cache(scratch)), card),
        licence.identifier,
        f"Dataset {params.version}",
        private=params.private,
        facts={
            "dataset_hash": dataset.manifest.dataset_hash,
            **project_facts(root, folder, made_by),
        },
    )


def _files_of(folder: Path, manifest: Manifest, hashes: HashCache) -> tuple[PublishedFile, ...]:
    """Return the files of a dataset but its manifest and card, which the published card brings.

    Raises:
        CorruptDataError: a file is not as the manifest states.
    """
    files = []
    for entry in (*manifest.files, *manifest.shards):
        path = folder / entry.path
        if entry.path == CARD_PATH.as_posix():
            continue
        if path.stat().st_size != entry.size or hashes.sha256(path) != entry.sha256:
            raise CorruptDataError(
                "is not as the manifest states: cut or altered",
                where=str(path),
                fix=FETCH_OR_PACKAGE_AGAIN,
            )
        files.append(PublishedFile(entry.path, path, entry.size, entry.sha256))
    return tuple(files)
