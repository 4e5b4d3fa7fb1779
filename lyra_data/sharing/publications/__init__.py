"""Make publications of results: their files, card, licence, and the project that they are from."""

from __future__ import annotations

from pathlib import Path

from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publications.of_dataset import publication_of_dataset
from lyra_data.sharing.publications.of_model import publication_of_model
from lyra_data.sharing.publications.of_scene import publication_of_scene
from lyra_data.sharing.publishing import Publication

_MAKERS = {
    Kind.dataset: publication_of_dataset,
    Kind.model: publication_of_model,
    Kind.scene: publication_of_scene,
}


def publication_of(
    kind: Kind, folder: Path, params: PublishParams, root: Path, scratch: Path
) -> Publication:
    """Return what is to be published of a result in `folder`, made in the project at `root`.

    Raises:
        ParamsError: no repository or licence is stated.
        InputError: the licence does not go with what the result was made of, or the folder holds
            no such result.
        CorruptDataError: a file is missing, cut or altered.
    """
    return _MAKERS[kind](folder, params, root=root, scratch=scratch)
