"""Provenance: which engine, commit, params and code made a result."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lyra_data
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.imports import PACKAGES, files_run_by
from lyra_data.engine.params import Params

UNKNOWN = "unknown"


def engine_version() -> str:
    """Return the version of the running lyra_data package."""
    return lyra_data.__version__


@functools.cache
def engine_commit() -> str:
    """Return the commit of the running engine's source; "-dirty" is added where its code was
    changed since.

    Only the engine's packages count as its code: a run rewrites dvc.lock and params have a hash
    of their own. "unknown" where the running package is not the one git tracks (installed
    elsewhere, or no git).
    """
    return commit_of(Path(lyra_data.__file__).resolve().parent.parent)


def commit_of(folder: Path) -> str:
    """Return what `engine_commit` does, of the engine whose packages lie in `folder`."""
    if _git(folder, "ls-files", "--error-unmatch", "lyra_data/__init__.py") is None:
        return UNKNOWN
    return _commit(folder, *PACKAGES)


def project_commit(root: Path) -> str:
    """Return the commit of a user's project; "-dirty" is added where a file that git tracks was
    changed since. "unknown" outside of git, and before the first commit.
    """
    return _commit(root, ".")


def _commit(folder: Path, *paths: str) -> str:
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return UNKNOWN
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", *paths)
    return f"{commit}-dirty" if changes else commit


def params_hash(params: Params | Mapping[str, Any]) -> str:
    """Hash of the values of a params section, independent of the order of its keys."""
    values = params.model_dump(mode="json") if isinstance(params, Params) else dict(params)
    return content_key(values)


@functools.cache
def code_fingerprint(*modules: str) -> str:
    """Return a hash of the source of modules and of all of ours that they import.

    It is part of every scratch key: work done by changed code is never taken for finished. The kind
    that params choose from a registry is imported by name, so it has to be among `modules`
    (`Registry.module`).
    """
    files = files_run_by(*modules)
    return content_key({name: sha256_of_file(path) for name, path in files.items()})


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's answer, or None where it fails or is not installed."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
