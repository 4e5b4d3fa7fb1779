"""Projects made of no input files: of a built-in source, of words, or of views elsewhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from stages.verbs.project import is_free, new_project_folder
from stages.verbs.project_choice import RUNS

ORIGIN = "lyra-origin.json"
"""File, in such a project, of what it was made of."""


def project_from(
    origin: Mapping[str, Any], folder: Path | None, name: str, fill: Callable[[Path], None]
) -> Path:
    """Return the project of an origin; where there is none, a new one that `fill` fills.

    Args:
        folder: of the project; None: the first of runs/NAME, runs/NAME_2, ... that is of this
            origin or free.

    Raises:
        InputError: the folder holds something else.
    """
    names = (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))
    for candidate in [folder] if folder is not None else (RUNS / one for one in names):
        if _origin_of(candidate) == origin:
            return candidate
        if is_free(candidate):
            with new_project_folder(candidate) as made:
                text = json.dumps(origin, indent=1, sort_keys=True)
                (made / ORIGIN).write_text(text + "\n", encoding="utf-8")
                fill(made)
            return candidate
    raise InputError(
        "this folder was made of something else",
        where=str(folder),
        fix="give another --project, or none",
    )


def _origin_of(folder: Path) -> dict[str, Any] | None:
    """Return what a project without inputs was made of; None where there is no such project."""
    path = folder / ORIGIN
    if not path.is_file():
        return None
    return read_json_object(path, kind="origin of a project", fix=f"move {folder} away")
