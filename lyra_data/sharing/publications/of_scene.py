"""Publish a reconstructed scene: a Space whose page is the scene, with all files of its folder."""

from __future__ import annotations

import json
from pathlib import Path

from lyra_data.sharing.cards.card import require_no_secret
from lyra_data.sharing.cards.made_by import SCENE_STAGES, read_made_by
from lyra_data.sharing.cards.scene_card import scene_card
from lyra_data.sharing.cards.scene_facts import (
    REPORT,
    decoder_name,
    is_hidden,
    read_reconstruction,
)
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publications.choices import (
    hash_cache,
    project_facts,
    required_licence,
    required_repository,
    statements_of,
    with_card,
)
from lyra_data.sharing.publishing import (
    Publication,
    PublishedFile,
    file_of_bytes,
    files_of_folder,
)


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
        InputError: the folder holds no scene or a link that leads out of it, or the licence does
            not go with its source.
        CorruptDataError: its report was cut or altered.
    """
    kind, wanted = Kind.scene, params.scene
    repository = required_repository(wanted.repository, wanted.licence, kind)
    made_by = read_made_by(root, SCENE_STAGES)
    options = {
        "repository": repository,
        "version": params.version,
        "made_by": made_by,
        "stated": statements_of(params, kind),
    }
    facts = read_reconstruction(folder, licence=None, **options)
    licence = required_licence(wanted.licence, facts.uses, kind, is_private=params.private)
    every = files_of_folder(folder, sha256_of=hash_cache(scratch).sha256)
    files = [file for file in every if file.path != REPORT and not is_hidden(file.path)]
    card = scene_card(folder, licence=licence.identifier, **options)
    return Publication(
        repository,
        kind.repository_type,
        params.version,
        with_card((*files, _report_of(folder)), card),
        licence.identifier,
        f"Scene {params.version}",
        private=params.private,
        facts={"scene_id": facts.scene_id, **project_facts(root, folder, made_by)},
    )


def _report_of(folder: Path) -> PublishedFile:
    """Return the scene's report, without the folders of this disk that its weights lie in.

    Raises:
        InputError: it holds a token or a password.
    """
    text = (folder / REPORT).read_text(encoding="utf-8")
    settings = json.loads(text)["settings"]["reconstruct"]
    weights = settings.get("weights")
    if isinstance(weights, str) and Path(weights).is_absolute():
        text = text.replace(json.dumps(weights), json.dumps(decoder_name(weights)))
    require_no_secret(text, where=str(folder / REPORT))
    return file_of_bytes(REPORT, text.encode())
