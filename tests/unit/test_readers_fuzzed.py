"""Every reader of foreign files meets damaged and hostile inputs, the same ones every time.

`python -m tests.fuzz_readers` gives them 2,000 (docs/reliability.md).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign_readers import HOSTILE, READERS
from tests.fuzz_readers import answers

SLOW = ("Lyra clip", "dataset", "ViPE", "nerfstudio", "video", "clip")
"""Readers of many files: they get fewer inputs here."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_or_hostile_file_is_refused_in_words_or_read(tmp_path: Path, name: str) -> None:
    rounds = 2 if name.startswith(SLOW) else len(HOSTILE) + 3
    bad = [one for one in answers(name, tmp_path, rounds) if one.outcome not in ("refused", "read")]
    assert not bad, bad[:3]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files_are_refused_in_words_or_read(tmp_path: Path, name: str) -> None:
    bad = [one for one in answers(name, tmp_path, 55) if one.outcome not in ("refused", "read")]
    assert not bad, bad[:3]
