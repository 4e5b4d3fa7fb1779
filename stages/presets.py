"""Presets: whole params.yaml files for a purpose, in the repository's folder `presets`."""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.params import suggestion

REPOSITORY = Path(__file__).resolve().parent.parent


def preset_names() -> list[str]:
    return sorted(path.stem for path in (REPOSITORY / "presets").glob("*.yaml"))


def preset_file(name: str) -> Path:
    """The params file of a preset.

    Raises:
        ParamsError: there is no such preset.
        InputError: lyra-data is installed without its repository.
    """
    known = preset_names()
    if not known:
        raise InputError(
            "the presets are not installed",
            where=str(REPOSITORY / "presets"),
            fix="install from a clone of the repository: pip install -e .",
        )
    if name not in known:
        raise ParamsError(
            f"there is no preset {name!r}", where="--preset", fix=suggestion(name, known)
        )
    return REPOSITORY / "presets" / f"{name}.yaml"
