"""Bytes, [-1, 1] and [0, 1]: what goes one way comes back."""

from __future__ import annotations

import torch

from lyra_data.scene.pixel_values import (
    bytes_from_signed,
    bytes_from_unit,
    signed_from_bytes,
    signed_from_unit,
    unit_from_bytes,
)

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_comes_back_from_both_ranges() -> None:
    assert torch.equal(bytes_from_signed(signed_from_bytes(LEVELS)), LEVELS)
    assert torch.equal(bytes_from_unit(unit_from_bytes(LEVELS)), LEVELS)


def test_the_ends_of_the_ranges_are_exact() -> None:
    assert signed_from_bytes(LEVELS)[[0, 255]].tolist() == [-1.0, 1.0]
    assert unit_from_bytes(LEVELS)[[0, 255]].tolist() == [0.0, 1.0]
    assert signed_from_unit(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1.0, 0.0, 1.0]


def test_values_beyond_the_range_are_clipped_and_not_wrapped() -> None:
    assert bytes_from_signed(torch.tensor([-1.5, 1.5])).tolist() == [0, 255]
    assert bytes_from_unit(torch.tensor([-0.5, 1.5])).tolist() == [0, 255]


def test_values_are_kept_unless_they_may_be_overwritten() -> None:
    values = torch.linspace(-2, 2, 101)
    kept = values.clone()
    expected = bytes_from_signed(values)
    assert torch.equal(values, kept)
    assert torch.equal(bytes_from_signed(values, overwrite=True), expected)
    assert not torch.equal(values, kept)
