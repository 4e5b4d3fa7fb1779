"""SSIM: structural similarity with an 11x11 Gaussian window (Wang et al. 2004).

The numbers are those of scikit-image's structural_similarity(gaussian_weights=True, sigma=1.5,
data_range=1) with its default sample covariance, which the reference uses.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.metrics.scores import Scores, masked_mean

RADIUS = 5
SIGMA = 1.5
LUMINANCE_CONSTANT = 0.01**2
CONTRAST_CONSTANT = 0.03**2
# scikit-image divides variances by n - 1; means of squares divide by n.
SAMPLE_COVARIANCE = (2 * RADIUS + 1) ** 2 / ((2 * RADIUS + 1) ** 2 - 1)


def ssim(
    predicted: Float[Tensor, "frame 3 height width"],
    target: Float[Tensor, "frame 3 height width"],
    mask: Bool[Tensor, "frame height width"] | None = None,
) -> Scores:
    """Return the mean of the SSIM map over channels and pixels; images in [0, 1], not clipped.

    A pixel counts if its window lies inside the image (5 pixels from every border) and, with a
    mask, if the pixel itself is in the mask: its window may reach up to 5 pixels beyond the mask,
    so pixels next to it have an influence. PSNR is the strict figure.
    """
    values = ssim_map(predicted.double(), target.double()).mean(1)
    if mask is not None:
        mask = mask[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
    return masked_mean(values, mask)


def ssim_map(
    predicted: Float[Tensor, "frame channel height width"],
    target: Float[Tensor, "frame channel height width"],
) -> Float[Tensor, "frame channel inner_height inner_width"]:
    """Return SSIM around every pixel at least 5 pixels from all borders; differentiable."""
    assert min(predicted.shape[-2:]) > 2 * RADIUS, f"too small for SSIM: {predicted.shape}"
    mean_p, mean_t = _blur(predicted), _blur(target)
    variance_p = SAMPLE_COVARIANCE * (_blur(predicted.square()) - mean_p.square())
    variance_t = SAMPLE_COVARIANCE * (_blur(target.square()) - mean_t.square())
    covariance = SAMPLE_COVARIANCE * (_blur(predicted * target) - mean_p * mean_t)
    luminance = (2 * mean_p * mean_t + LUMINANCE_CONSTANT) / (
        mean_p.square() + mean_t.square() + LUMINANCE_CONSTANT
    )
    contrast = (2 * covariance + CONTRAST_CONSTANT) / (variance_p + variance_t + CONTRAST_CONSTANT)
    return luminance * contrast


def _blur(
    images: Float[Tensor, "frame channel height width"],
) -> Float[Tensor, "frame channel inner_height inner_width"]:
    """Return the images blurred along columns, then rows; borders of RADIUS pixels fall away."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / SIGMA).square())
    weights = (weights / weights.sum()).to(images)
    channels = images.flatten(0, 1)[:, None]
    channels = F.conv2d(channels, weights[None, None, :, None])
    channels = F.conv2d(channels, weights[None, None, None, :])
    return channels[:, 0].unflatten(0, images.shape[:2])
