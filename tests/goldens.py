"""Find the reference numbers, for tests that compare with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def goldens_folder() -> Path:
    """Return where the reference numbers lie, or would: LYRA_GOLDENS, or a folder beside."""
    return _folder("LYRA_GOLDENS", "goldens")


def _folder(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable, REPOSITORY.parent / "shared" / name))


def _folder_or_skip(variable: str, name: str) -> Path:
    folder = _folder(variable, name)
    if not folder.is_dir():
        pytest.skip(f"no {name} folder at {folder}; set {variable} to run this test")
    return folder


def goldens_or_skip() -> Path:
    """Return the folder of reference numbers (set LYRA_GOLDENS), or skip with the reason."""
    return _folder_or_skip("LYRA_GOLDENS", "goldens")


def samples_or_skip() -> Path:
    """Return the folder of real sample inputs (set LYRA_SAMPLES), or skip with the reason."""
    return _folder_or_skip("LYRA_SAMPLES", "samples")
