"""Presets: whole params.yaml files for a purpose, and the other files that a project begins with.

They are package data, so that `init` and `run` work wherever the package is installed.
"""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import suggestion

FOLDER = Path(__file__).resolve().parent

DEMO = "demo"
"""The preset of a project without inputs: the repository's own params.yaml."""

PICTURES_PRESET = "photo"
VIDEO_PRESET = "video"
"""Presets where none is named: of pictures alone, and of anything else. The video preset's
annotator also solves videos where params.yaml names `given`, which solves nothing."""

PROJECT_FILES = FOLDER / "project"
"""Folder of what every project begins with, besides params.yaml. Its dvc.yaml is called
pipeline.yaml here, and its publish/dvc.yaml publish.yaml: DVC reads every dvc.yaml below the folder
it works in."""


def preset_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def preset_file(name: str) -> Path:
    """Return the params file of a preset.

    Raises:
        ParamsError: there is no such preset.
    """
    known = preset_names()
    if name not in known:
        raise ParamsError(
            f"there is no preset {name!r}", where="--preset", fix=suggestion(name, known)
        )
    return FOLDER / f"{name}.yaml"
