"""Numbers as colours: brightness follows the value, and stripes stand where nothing is known."""

from __future__ import annotations

import numpy as np
import torch

from lyra_data.media.colour_maps import (
    HATCH_DARK,
    HATCH_LIGHT,
    Limits,
    colour_depth,
    colour_error,
    colour_levels,
    depth_limits,
)

HATCH = {HATCH_DARK, HATCH_LIGHT}


def test_unknown_depth_is_hatched_and_known_depth_is_not() -> None:
    depth = np.linspace(1.0, 3.0, 64, dtype=np.float32).reshape(8, 8)
    known = np.ones((8, 8), bool)
    known[2:6, 2:6] = False
    picture = colour_depth(depth, known, Limits(1.0, 3.0))
    assert {tuple(colour.tolist()) for colour in picture[~known]} <= HATCH
    assert not {tuple(colour.tolist()) for colour in picture[known]} & HATCH


def test_both_stripes_are_as_wide_as_half_the_period() -> None:
    depth, known = np.ones((4, 96), np.float32), np.zeros((4, 96), bool)
    for period in (4, 12):
        row = colour_depth(depth, known, Limits(0.0, 1.0), hatch_period=period)[0, :, 0]
        widths = np.diff(np.flatnonzero(np.diff(row.astype(int))))
        assert set(widths.tolist()) == {period // 2}


def test_near_is_brighter_than_far_and_beyond_the_limits_colours_stay() -> None:
    depth = np.array([[0.5, 1.0, 2.0, 3.0, 9.0]], np.float32)
    picture = colour_depth(depth, np.ones((1, 5), bool), Limits(1.0, 3.0)).astype(int).sum(-1)[0]
    assert picture[0] == picture[1] > picture[2] > picture[3] == picture[4]


def test_limits_leave_out_single_far_values_and_exist_without_depth() -> None:
    depth = torch.full((20, 20), 2.0)
    depth[0, 0], depth[0, 1] = 500.0, 0.0
    limits = depth_limits(depth[depth > 0])
    assert limits.low == 2.0 and limits.high < 2.1
    assert depth_limits(torch.zeros(0)) == Limits(0.0, 1.0)


def test_an_error_of_zero_is_darkest_and_pixels_that_do_not_count_are_hatched() -> None:
    truth = np.zeros((3, 1, 3), np.uint8)
    image = truth.copy()
    image[:, 0, 1:] = 255
    picture = colour_error(image, truth, np.array([[True, True, False]]))
    assert picture[0, 0].sum() < 12
    assert picture[0, 1].sum() > 600
    assert tuple(picture[0, 2].tolist()) in HATCH


def test_a_level_that_is_no_number_has_the_first_colour() -> None:
    picture = colour_levels(np.array([[np.nan, 0.0]]), 0)
    assert (picture[0, 0] == picture[0, 1]).all()
