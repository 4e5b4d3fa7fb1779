"""Gather the facts of a scene's card from the folder that reconstruct has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import file_at_fault, files_below
from lyra_data.engine.names import checked_name
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.licences.dependencies import model_dependency
from lyra_data.sharing.licences.guardrail import GuardrailState, guardrail_states
from lyra_data.sharing.licences.licence import Licence
from lyra_data.sharing.licences.uses import Statements, Use, ViewRow, count_uses

REPORT, PAGE, VIDEO, PLY = "report.json", "scene.html", "video.mp4", "scene.ply"
MAKE_AGAIN = "run `lyra-data reconstruct` again"


@dataclass(frozen=True)
class ReconstructionFacts:
    """A reconstructed scene as its card describes it.

    Attributes:
        report: report.json, but for the times that its making took.
        files: names and sizes in bytes of the files in its folder, in order.
        prompt: the words that its source was described by; "".
    """

    licence: Licence | None
    repository: str | None
    version: str | None
    scene_id: str
    report: Mapping[str, Any]
    files: Mapping[str, int]
    prompt: str
    uses: tuple[Use, ...]
    guardrails: tuple[GuardrailState, ...]
    made_by: MadeBy


def read_reconstruction(
    folder: Path,
    *,
    licence: Licence | None,
    repository: str | None,
    version: str | None,
    made_by: MadeBy,
    stated: Statements | None = None,
) -> ReconstructionFacts:
    """Read the facts of a scene's folder.

    Raises:
        InputError: the folder is no scene's, or a statement fits nothing.
        CorruptDataError: report.json was cut or altered.
    """
    path = folder / REPORT
    for name in (REPORT, PAGE, PLY):
        if not (folder / name).is_file():
            raise InputError(
                f"there is no {name}", where=str(folder), fix="give a folder of outputs/scenes"
            )
    report = read_json_object(path, kind="report of a scene", fix=MAKE_AGAIN)
    with file_at_fault(path, kind="report of a scene", fix=MAKE_AGAIN, error=CorruptDataError):
        scene_id = checked_name(report["scene_id"], noun="scene_id", where=str(path))
        provenance = _provenance(report)
        weights = report["settings"]["reconstruct"].get("weights")
        decoded = report["method"] == "decoder"
        row = ViewRow(scene_id, 0, provenance)
    decoder = [model_dependency("decoder", decoder_name(str(weights)))] if decoded else []
    return ReconstructionFacts(
        licence=licence,
        repository=repository,
        version=version,
        scene_id=scene_id,
        report={name: value for name, value in report.items() if name != "run"},
        files={
            one.relative_to(folder).as_posix(): one.stat().st_size
            for one in sorted(files_below(folder))
            if not is_hidden(one.relative_to(folder).as_posix())
        },
        prompt=provenance.get("prompt", ""),
        uses=count_uses([row], stated, besides=decoder),
        guardrails=guardrail_states([row]),
        made_by=made_by,
    )


def is_hidden(name: str) -> bool:
    """Return whether a file of a scene's folder, or a folder above it, is hidden: no result of
    ours is, and `.env` or `.DS_Store` are not to be published."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _provenance(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the provenance of the scene's views, as the report repeats it."""
    source = {f"source_{name}": value for name, value in report["source"].items()}
    provenance = source | report["made_by"]
    if not all(isinstance(value, str) for value in provenance.values()):
        raise ValueError("its source or what made it is not told in texts")
    return provenance


def decoder_name(weights: str) -> str:
    """Return the name of a decoder's folder, by which the publisher states its licence."""
    return weights.rstrip("/").rpartition("/")[2]
