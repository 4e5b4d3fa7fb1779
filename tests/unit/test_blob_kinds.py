"""Kinds of blobs: what a packed field's entry in FIELDS says is all that the dataset needs."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from lyra_data.engine.errors import InputError
from lyra_data.packing.blob_kinds import (
    BLOB_KINDS,
    PACKED_FIELDS,
    holds_exactly,
    kind_of,
    pack_array,
)
from lyra_data.views.field import BlobKindName
from lyra_data.views.fields import FIELD_BY_NAME, row_from_view
from tests.factories import make_view
from tests.goldens import REPOSITORY


def test_every_kind_has_an_implementation() -> None:
    assert set(BLOB_KINDS) == set(get_args(BlobKindName))


@pytest.mark.parametrize("frames", [[], [4], [7, 2, 7]])
@pytest.mark.parametrize("name", PACKED_FIELDS)
def test_packed_values_come_back_in_the_order_asked_for(name: str, frames: list[int]) -> None:
    view, field = make_view(seed=3), FIELD_BY_NAME[name]
    kind = kind_of(name)
    packed = kind.pack(row_from_view(view), field, kind.only_codec)
    expected = getattr(view, name).numpy()
    chosen = frames if field.per_frame else [0]
    table = packed.table
    parts = {
        number: packed.data[slice(*table.bounds(table.part_of(number)))]
        for number in table.frames_to_decode(chosen)
    }
    found = kind.unpack(parts, chosen, table)
    assert np.array_equal(found, expected[frames] if field.per_frame else expected)
    assert found.dtype == expected.dtype


def test_an_array_of_halves_says_whether_it_holds_every_value() -> None:
    exact, rounded = np.array([[0.5, 2.0]], np.float32), np.array([[0.1]], np.float32)
    assert holds_exactly(pack_array(exact, "half", "latents", "here"), exact)
    assert not holds_exactly(pack_array(rounded, "half", "latents", "here"), rounded)
    with pytest.raises(InputError, match=r"(?s)too large.*package.latents: lossless"):
        pack_array(np.array([1e6], np.float32), "half", "latents", "here")
    with pytest.raises(ValueError, match="latents hold values that are no numbers"):
        pack_array(np.array([np.nan], np.float32), "half", "latents", "here")


ONE_ENTRY = """
import sys
from pathlib import Path
import pyarrow as pa
from lyra_data.views import blobs, fields

def encode(view):
    return [blobs.encode_mask(~mask) for mask in view.filled.numpy()]

fields.FIELDS += (
    fields.Field(
        "kept", pa.list_(pa.large_binary()), "bits", "not invented", encode, lambda value, _: value,
        per_frame=True, derived=True, modality="mask", packing=fields.Packing("kept", "mask"),
    ),
)
fields.FIELD_BY_NAME["kept"] = fields.FIELDS[-1]

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from tests.factories import make_view

view, folder = make_view("a", 0), Path(sys.argv[1])
write_dataset([view], folder, splits=None, scenes_per_shard=1, provenance={})
(row,) = SceneDataset(folder, verify="full")["a"].read_fields(["kept"], frames=[5, 1])
assert (row["kept"] == ~view.filled[[5, 1]]).all() and row["kept"].any()
(stored,) = SceneDataset(folder)["a"].stored.rows("mask", ["kept_codec", "kept_offsets"])
assert stored["kept_codec"] == "bits" and len(stored["kept_offsets"]) == len(view.frames) + 1
"""


def test_a_packed_field_is_added_by_one_entry(tmp_path) -> None:
    """Columns, codec, writer, index and reader follow from the entry in FIELDS."""
    command = [sys.executable, "-c", ONE_ENTRY, str(tmp_path / "dataset")]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
