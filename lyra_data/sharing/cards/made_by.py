"""Facts of how something was made that it does not hold itself: params, DVC's lock, failures.

Only the stages that made it count: a decoder that is trained again changes no dataset's card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import build_from_json, parse_yaml
from lyra_data.engine.errors import InputError
from lyra_data.engine.failures import FAILURES_FILE, Failure
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.hashing import content_key

DATASET_STAGES = ("annotate", "generate", "package")
MODEL_STAGES = (*DATASET_STAGES, "train")
SCENE_STAGES = ("annotate", "generate", "reconstruct")

_LISTS = {"annotate": "outputs/clips", "generate": "outputs/views"}
_FOLDERS = re.compile(r"(?<![\w./:-])(?:~|[A-Za-z]:)?/(?:[^\s/'\"#,\]}]+/)+")
"""Folders of an absolute path: they say who made it on which machine, and nothing of the data."""


@dataclass(frozen=True)
class MadeBy:
    """The project that something was made in.

    Attributes:
        params: the sections of params.yaml that shaped it, absolute paths cut to their names; "".
        lock_hash: hash of what dvc.lock says of its stages; None: there is no dvc.lock.
        outs: hash that dvc.lock states of each result of these stages, by path.
        failures: scenes and views that failed, each with the stage that says so.
    """

    params: str = ""
    lock_hash: str | None = None
    outs: Mapping[str, str] = field(default_factory=dict)
    failures: Sequence[tuple[str, Failure]] = ()


def read_made_by(project: Path | None, stages: Sequence[str] = DATASET_STAGES) -> MadeBy:
    """Read the facts of the project that begins at a folder; None: of no project.

    Raises:
        InputError: params.yaml or dvc.lock cannot be read.
        CorruptDataError: a list of failures was cut or altered.
    """
    if project is None:
        return MadeBy()
    locked = _locked_stages(project / "dvc.lock", stages)
    return MadeBy(
        params=_shown_params(project / "params.yaml", ("seed", *stages)),
        lock_hash=content_key(locked) if locked else None,
        outs={
            out["path"]: out["md5"] for stage in locked.values() for out in stage.get("outs", [])
        },
        failures=tuple(
            (stage, failure)
            for stage, folder in _LISTS.items()
            for failure in _read_failures(project / folder / FAILURES_FILE)
        ),
    )


def _shown_params(path: Path, sections: Sequence[str]) -> str:
    """Return the lines of some sections of params.yaml, with their comments."""
    if not path.is_file():
        return ""
    with file_at_fault(path, kind="params.yaml", fix="save it as UTF-8", error=InputError):
        text = path.read_text(encoding="utf-8")
    blocks = re.split(r"(?m)^(?=[A-Za-z_]\w*:)", text)[1:]
    kept = [block.rstrip() for block in blocks if block.partition(":")[0] in sections]
    return _FOLDERS.sub(".../", "\n\n".join(kept))


def _locked_stages(path: Path, stages: Sequence[str]) -> dict[str, Any]:
    """Return what dvc.lock says of some stages, those of `train@PHASE` among `train`'s."""
    if not path.is_file():
        return {}
    with file_at_fault(path, kind="dvc.lock", fix="run `dvc repro` again", error=InputError):
        locked = parse_yaml(path.read_text(encoding="utf-8"))["stages"]
        return {
            name: {
                **stage,
                "outs": [{"path": out["path"], "md5": out["md5"]} for out in stage.get("outs", [])],
            }
            for name, stage in locked.items()
            if name.partition("@")[0] in stages
        }


def _read_failures(path: Path) -> list[Failure]:
    if not path.is_file():
        return []
    return build_from_json(
        path,
        lambda entries: [Failure(**entry) for entry in entries],
        kind="list of failures",
        fix="run the stage again",
    )
