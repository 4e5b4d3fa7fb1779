"""Record what a project was made of, and compare it with what the project is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data import __version__
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.names import stays_inside
from lyra_data.sources.albums import without_depth_maps
from stages.verbs.project_inputs import RECORD, hash_of_input, same_content
from stages.verbs.project_pictures import with_files_beside

INPUTS = "inputs"
"""The folder of a project that holds its inputs."""

FORMAT = 1


@dataclass(frozen=True)
class RecordedInput:
    """An input of a project.

    Attributes:
        origin: the absolute path that it was given by.
        name: its file or folder in the project's folder `inputs`.
        sha256: of its content when the project was made; None where nobody recorded it.
    """

    origin: str
    name: str
    sha256: str | None


@dataclass(frozen=True)
class ProjectRecord:
    """Inputs and preset that a project was made of.

    Attributes:
        preset: the preset's name; None where nobody recorded it.
        inputs: in the order they were given.
    """

    preset: str | None
    inputs: tuple[RecordedInput, ...]

    def difference(self, folder: Path, inputs: Sequence[Path], preset: str | None) -> str | None:
        """Return what differs from what is asked for, as a sentence about the project; or None.

        Args:
            folder: the project's folder.
            inputs: those asked for; none: they are not compared.
            preset: the one asked for; None: it is not compared.
        """
        if inputs and not self._holds(folder, inputs):
            known = ", ".join(one.origin for one in self.inputs) or "nothing that is known"
            return f"this project was made of another input ({known})"
        if preset is not None and preset != self.preset:
            return f"this project was made from preset {self.preset or 'unknown'}, not {preset}"
        return None

    def _holds(self, folder: Path, inputs: Sequence[Path]) -> bool:
        """Return whether the project's inputs are these, in any order."""
        left = list(self.inputs)
        for path in with_files_beside(without_depth_maps(inputs)):
            match = next((one for one in left if _is_input(one, folder, path)), None)
            if match is None:
                return False
            left.remove(match)
        return not left


def write_record(folder: Path, preset: str, origins: Mapping[str, Path]) -> None:
    """Record what a project is made of.

    Args:
        origins: the path that each input was given by, by its name in the project's `inputs`.
    """
    inputs = [
        {
            "origin": str(path.absolute()),
            "name": name,
            "sha256": hash_of_input(folder / INPUTS / name),
        }
        for name, path in origins.items()
    ]
    record = {"format": FORMAT, "made_by": __version__, "preset": preset, "inputs": inputs}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> ProjectRecord:
    """Read what a project was made of; of one without a record, what lies in its inputs.

    Raises:
        CorruptDataError: the record is cut, altered or of a later version.
    """
    path = folder / RECORD
    fix = "restore the file, or delete it: then inputs/ is compared, and the preset is not known"
    if not path.exists():
        held = sorted((folder / INPUTS).iterdir()) if (folder / INPUTS).is_dir() else []
        return ProjectRecord(None, tuple(RecordedInput(str(one), one.name, None) for one in held))
    values = read_json_object(path, kind="record of a project", fix=fix)
    inputs = values.get("inputs")
    if (
        values.get("format") != FORMAT
        or not isinstance(values.get("preset"), str)
        or not isinstance(inputs, list)
        or not all(_is_record_of_input(one) for one in inputs)
    ):
        raise CorruptDataError(
            f"this is no record of a project of format {FORMAT}", where=str(path), fix=fix
        )
    recorded = tuple(RecordedInput(one["origin"], one["name"], one["sha256"]) for one in inputs)
    return ProjectRecord(values["preset"], recorded)


def _is_record_of_input(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("origin"), str)
        and isinstance(value.get("sha256"), str)
        and stays_inside(value.get("name"))
        and "/" not in value["name"]
    )


def _is_input(recorded: RecordedInput, folder: Path, path: Path) -> bool:
    """Return whether `path` holds what the project works on."""
    held = folder / INPUTS / recorded.name
    if not held.exists():  # the user made room: what was recorded stands for it
        return recorded.sha256 is not None and hash_of_input(path) == recorded.sha256
    return same_content(path, held)
