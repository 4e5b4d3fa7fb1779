"""Say which state of a project something that is published was made in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.engine.documents import parse_yaml
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file
from lyra_data.engine.provenance import project_commit

LOCK = "dvc.lock"


def project_facts(root: Path, output: Path) -> dict[str, Any]:
    """Return what ties an output of the project at `root` to the project's history.

    Returns:
        "project_commit": of git, with "-dirty" where tracked files were changed since, or
        "unknown" outside of git; "dvc_lock": the hash that dvc.lock states of `output`, or None
        where dvc.lock does not know it.
    """
    return {"project_commit": project_commit(root), "dvc_lock": locked_hash(root, output)}


def locked_hash(root: Path, output: Path) -> str | None:
    """Return the hash that dvc.lock of the project at `root` states of one of its outputs.

    Raises:
        InputError: dvc.lock cannot be read.
    """
    lock = root / LOCK
    if not lock.exists():
        return None
    name = output.resolve().relative_to(root.resolve()).as_posix() if _inside(root, output) else ""
    require_regular_file(lock)
    with file_at_fault(lock, kind="DVC lock", fix="restore it with git, or run `dvc repro`"):
        stages = parse_yaml(lock.read_text(encoding="utf-8"))["stages"]
        hashes = {
            out["path"]: out.get("md5")
            for stage in stages.values()
            for out in stage.get("outs", ())
        }
    stated = hashes.get(name)
    return None if stated is None else str(stated)


def _inside(root: Path, output: Path) -> bool:
    return output.resolve().is_relative_to(root.resolve())
