"""SSIM: structural similarity with an 11x11 Gaussian window (Wang et al. 2004).

The numbers are those of scikit-image's structural_similarity(gaussian_weights=True, sigma=1.5,
data_range=1) with its default sample covariance, which the reference uses. Other conventions are
named: torchmetrics divides covariances by n, and some code counts windows that reach beyond the
border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True)
class SsimConvention:
    """The choices in which SSIMs of different papers differ; the window is the same in all.

    Attributes:
        covariance: "sample" divides by n - 1 (scikit-image's default), "population" by n
            (torchmetrics, and most code written by hand).
        border: "inside" counts pixels whose window lies inside the image. The others count all:
            "reflect" mirrors the image beyond its border (torchmetrics), "zeros" takes it to be 0
            there.
    """

    covariance: Literal["sample", "population"] = "sample"
    border: Literal["inside", "reflect", "zeros"] = "inside"


def ssim(
    predicted: Float[Tensor, "frame 3 height width"],
    target: Float[Tensor, "frame 3 height width"],
    mask: Bool[Tensor, "frame height width"] | None = None,
    *,
    convention: SsimConvention = SsimConvention(),
) -> Scores:
    """Return the mean of the SSIM map over channels and pixels; images in [0, 1], not clipped.

    Each channel has its own map, in float64; nothing is rounded to 8 bits here. A pixel counts if
    its window lies inside the image (5 pixels from every border, unless the convention says
    otherwise) and, with a mask, if the pixel itself is in the mask: its window may reach up to 5
    pixels beyond the mask, so pixels next to it have an influence. PSNR is the strict figure.
    """
    predicted, target = predicted.double(), target.double()
    if convention.border != "inside":
        mode = "constant" if convention.border == "zeros" else "reflect"
        predicted, target = (F.pad(image, [RADIUS] * 4, mode) for image in (predicted, target))
    elif mask is not None:
        mask = mask[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
    factor = SAMPLE_COVARIANCE if convention.covariance == "sample" else 1.0
    return masked_mean(ssim_map(predicted, target, covariance_factor=factor).mean(1), mask)


def ssim_map(
    predicted: Float[Tensor, "frame channel height width"],
    target: Float[Tensor, "frame channel height width"],
    *,
    covariance_factor: float = SAMPLE_COVARIANCE,
) -> Float[Tensor, "frame channel inner_height inner_width"]:
    """Return SSIM around every pixel at least 5 pixels from all borders; differentiable.

    Args:
        covariance_factor: multiplies covariances, which are means over the window: n / (n - 1) for
            those of a sample.
    """
    assert min(predicted.shape[-2:]) > 2 * RADIUS, f"too small for SSIM: {predicted.shape}"
    mean_p, mean_t = _blur(predicted), _blur(target)
    variance_p = covariance_factor * (_blur(predicted.square()) - mean_p.square())
    variance_t = covariance_factor * (_blur(target.square()) - mean_t.square())
    covariance = covariance_factor * (_blur(predicted * target) - mean_p * mean_t)
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
