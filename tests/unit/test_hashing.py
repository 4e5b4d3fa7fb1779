"""Hashes name content and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lyra_data.engine.hashing import (
    canonical_json,
    content_key,
    sha256_of_bytes,
    sha256_of_file,
    sha256_of_folder,
)


def test_a_file_and_its_bytes_have_one_hash(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert sha256_of_file(tmp_path / "file") == sha256_of_bytes(data) == expected


def test_a_folder_hash_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, names in ((first, ["a", "b/c"]), (second, ["b/c", "a"])):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
    whole = sha256_of_folder(first)
    assert sha256_of_folder(second) == whole
    (second / "a").rename(second / "d")
    assert sha256_of_folder(second) != whole
    (second / "d").rename(second / "a")
    (second / "a").write_text("A")
    assert sha256_of_folder(second) != whole


def test_the_order_of_keys_does_not_change_a_content_key() -> None:
    assert content_key({"b": [1, 2.5], "a": None}) == content_key({"a": None, "b": (1, 2.5)})
    assert canonical_json({"b": True, "a": "é"}) == '{"a":"é","b":true}'


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, "1"), (True, 1), ([1, 2], [2, 1])])
def test_different_values_have_different_keys(one: object, other: object) -> None:
    assert content_key({"value": one}) != content_key({"value": other})


@pytest.mark.parametrize(
    "value", [{1, 2}, b"bytes", Path("x"), np.zeros(2), {1: "one"}, [{"a": {2: 3}}]]
)
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        content_key(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        content_key({"value": value})
