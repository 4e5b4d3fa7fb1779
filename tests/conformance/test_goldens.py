"""Every golden file whose kind has a checker conforms to the reference within its tolerance."""

from __future__ import annotations

import pytest

from tests.conformance.base import check_entry, has_checker, load_entries
from tests.goldens import goldens_folder, goldens_or_skip

_ENTRIES = [entry for entry in load_entries(goldens_folder()) if has_checker(entry["kind"])]


@pytest.mark.parametrize("entry", _ENTRIES, ids=[entry["file"] for entry in _ENTRIES])
def test_our_numbers_agree_with_the_reference(entry: dict) -> None:
    result = check_entry(entry, goldens_or_skip())
    if result.skipped is not None:
        pytest.skip(result.skipped)
    assert result.ok, str(result)
