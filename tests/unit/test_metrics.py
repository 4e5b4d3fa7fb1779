"""Metrics: agreement with scikit-image, and masks that keep what they hide out of the numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lyra_model.metrics.depth import depth_scores
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import ssim


def images(seed: int, height: int = 24, width: int = 30) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, height, width, generator=generator)


def half_mask(*, height: int = 24, width: int = 30) -> torch.Tensor:
    mask = torch.zeros(2, height, width, dtype=torch.bool)
    mask[:, :, : width // 2] = True
    return mask


def test_psnr_is_that_of_scikit_image() -> None:
    left, right = images(0), images(1)
    scores = psnr(left, right)
    for value, ours, theirs in zip(scores.values, left, right, strict=True):
        expected = peak_signal_noise_ratio(theirs.numpy(), ours.numpy(), data_range=1.0)
        assert float(value) == pytest.approx(expected, abs=1e-4)
    assert scores.num_pixels.tolist() == [24 * 30] * 2


def test_ssim_is_that_of_scikit_image() -> None:
    left, right = images(0), (images(0) + 0.3 * images(1)) / 1.3
    for value, ours, theirs in zip(ssim(left, right).values, left, right, strict=True):
        expected = structural_similarity(
            theirs.numpy().astype(np.float64),
            ours.numpy().astype(np.float64),
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            data_range=1.0,
        )
        assert float(value) == pytest.approx(expected, abs=1e-6)


def test_equal_images_have_infinite_psnr_and_ssim_one() -> None:
    assert psnr(images(0), images(0)).mean == math.inf
    assert ssim(images(0), images(0)).mean == pytest.approx(1.0)


def test_pixels_outside_the_mask_have_no_influence_on_psnr() -> None:
    left, right, mask = images(0), images(1), half_mask()
    spoilt = torch.where(mask[:, None], left, torch.full((), torch.nan))
    scores = psnr(spoilt, right, mask)
    assert torch.equal(scores.values, psnr(left, right, mask).values)
    assert scores.num_pixels.tolist() == [24 * 15] * 2
    expected = psnr(left[..., :15], right[..., :15]).values
    assert torch.allclose(scores.values, expected)


def test_ssim_counts_masked_pixels_away_from_the_border() -> None:
    left, right, mask = images(0), images(1), half_mask()
    scores = ssim(left, right, mask)
    assert scores.num_pixels.tolist() == [(24 - 10) * (15 - 5)] * 2
    spoilt = left.clone()
    spoilt[..., 15 + 5 :] = 0.0  # out of reach of any counted window
    assert torch.equal(ssim(spoilt, right, mask).values, scores.values)


def test_a_frame_without_counted_pixels_has_no_value_and_does_not_enter_the_mean() -> None:
    mask = half_mask()
    mask[1] = False
    scores = psnr(images(0), images(1), mask)
    assert math.isnan(float(scores.values[1]))
    assert scores.mean == pytest.approx(float(scores.values[0]))
    assert scores.total_pixels == 24 * 15


def test_psnr_compares_images_as_they_would_be_shown() -> None:
    bright = torch.full((1, 3, 8, 8), 3.0)
    assert psnr(bright, torch.ones(1, 3, 8, 8)).mean == math.inf


def test_depth_scores_count_valid_pixels_alone() -> None:
    target = torch.tensor([[[2.0, 2.0, 0.0, 4.0]]])
    predicted = torch.tensor([[[2.2, 3.0, 9.0, 0.0]]])
    valid = target > 0
    scores = depth_scores(predicted, target, valid)
    assert scores.absolute_relative.mean == pytest.approx((0.1 + 0.5 + 1.0) / 3)
    assert scores.within_delta.mean == pytest.approx(1 / 3)
    assert scores.within_delta.total_pixels == 3
