"""Publish a reconstructed scene: a Space whose page is the scene, with all files of its folder."""

from __future__ import annotations

from pathlib import Path

from lyra_data.sharing.cards.made_by import read_made_by
from lyra_data.sharing.cards.scene_card import scene_card
from lyra_data.sharing.cards.scene_facts import read_reconstruction
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.project_facts import project_facts
from lyra_data.sharing.publications.choices import (
    hash_cache,
    required_licence,
    required_repository,
    statements_of,
    with_card,
)
from lyra_data.sharing.publishing import Publication, files_of_folder


def publication_of_scene(
    folder: Path, params: PublishParams, *, root: Path, scratch: Path
) -> Publication:
    """Return what is to be published of a scene.

    Args:
        folder: of the scene, e.g. outputs/scenes/motorcycle.
        root: the project that it was made in.
        scratch: keeps hashes of files that are known already.

    Raises:
        ParamsError: no repository or licence is stated.
        InputError: the folder holds no scene, or the licence does not go with its source.
        CorruptDataError: its report was cut or altered.
    """
    kind, wanted = Kind.scene, params.scene
    repository = required_repository(wanted.repository, kind)
    options = {
        "repository": repository,
        "version": params.version,
        "made_by": read_made_by(root),
        "stated": statements_of(params, kind),
    }
    facts = read_reconstruction(folder, licence=None, **options)
    licence = required_licence(wanted.licence, facts.uses, kind, is_private=params.private)
    card = scene_card(folder, licence=licence.identifier, **options)
    return Publication(
        repository,
        kind.repository_type,
        params.version,
        with_card(files_of_folder(folder, sha256_of=hash_cache(scratch).sha256), card),
        licence.identifier,
        f"Scene {params.version}",
        private=params.private,
        facts={"scene_id": facts.scene_id, **project_facts(root, folder)},
    )
