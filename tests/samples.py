"""Real inputs for tests that need them; such a test is skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.goldens import samples_or_skip


def sample(name: str) -> Path:
    """A file of the folder of samples, or skip with the reason."""
    path = samples_or_skip() / name
    if not path.is_file():
        pytest.skip(f"the folder of samples holds no {name}")
    return path
