"""Whatever happens to a file of a dataset, reading gives what was written or a CorruptDataError."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from tests.factories import assert_views_equal, make_view

VIEWS = [make_view(scene, index, seed=ord(scene)) for scene in "ab" for index in range(2)]


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Flipped, cut, overwritten, moved or swollen."""
    begin = draw.randrange(len(data))
    end = min(len(data), begin + draw.choice([1, 4, 100, 5000]))
    kind = draw.choice(["flip", "cut", "zero", "noise", "remove", "insert", "swap"])
    if kind == "flip":
        flipped = data[begin] ^ (1 << draw.randrange(8))
        return data[:begin] + bytes([flipped]) + data[begin + 1 :]
    if kind == "cut":
        return data[:begin]
    if kind == "swap":
        return data[end:] + data[:end]
    middle = {
        "zero": bytes(end - begin),
        "noise": draw.randbytes(end - begin),
        "remove": b"",
        "insert": data[begin:end] * 2,
    }[kind]
    return data[:begin] + middle + data[end:]


def read_all(folder: Path) -> list[View]:
    dataset = SceneDataset(folder)
    return [view for scene in range(len(dataset)) for view in dataset.scene(scene)]


@pytest.mark.parametrize("kind", ["lossless", "train", "compat"])
def test_damage_is_never_read_as_data(tmp_path: Path, kind: str) -> None:
    other = "lossless" if kind == "lossless" else "half"
    whole = tmp_path / "whole"
    write_dataset(
        VIEWS,
        whole,
        splits=None,
        scenes_per_shard=1,
        provenance={},
        encoding=Encoding(kind, other, other),  # type: ignore[arg-type]
    )
    expected = read_all(whole)
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    draw = random.Random(11)
    refused = 0
    for _ in range(60):
        name = draw.choice(files)
        content = (whole / name).read_bytes()
        (copy / name).write_bytes(damaged(content, draw))
        try:
            found = read_all(copy)
        except CorruptDataError as error:
            refused += 1
            assert error.where == str(copy / name) and error.fix
        else:
            for one, other_view in zip(found, expected, strict=True):
                assert_views_equal(one, other_view)
        if (copy / name).read_bytes() != content and name.name != "README.md":
            with pytest.raises(CorruptDataError):
                SceneDataset(copy, verify="full")
        (copy / name).write_bytes(content)
    assert refused > 20
