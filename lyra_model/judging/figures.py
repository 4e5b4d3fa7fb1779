"""Figures of one frame: every metric of a protocol, in its order."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_model.judging.protocols.protocol import Metrics
from lyra_model.losses.perceptual_network import BACKBONES, PerceptualNetwork
from lyra_model.metrics.flip import flip
from lyra_model.metrics.lpips import lpips
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import RADIUS, ssim

Figures = dict[str, float]

HIGHER_IS_BETTER = {"psnr_db": True, "ssim": True, "lpips_vgg": False, "lpips_alex": False}
HIGHER_IS_BETTER |= {"flip": False}


def frame_figures(
    predicted: Float[Tensor, "3 height width"],
    target: Float[Tensor, "3 height width"],
    metrics: Metrics,
    networks: Mapping[str, PerceptualNetwork],
    *,
    where: str,
) -> Figures:
    """Return the figures of one frame by name (`Metrics.names`).

    Args:
        networks: of LPIPS, by backbone.
        where: the render, for messages.

    Raises:
        InputError: the picture is too small for a metric, or FLIP's package is not installed.
    """
    _check_size(target, metrics, where)
    ours, theirs = predicted[None], target[None]
    figures: Figures = {}
    if metrics.psnr is not None:
        figures["psnr_db"] = psnr(ours, theirs, convention=metrics.psnr).mean
    if metrics.ssim is not None:
        figures["ssim"] = ssim(ours, theirs, convention=metrics.ssim).mean
    for convention in metrics.lpips:
        network = networks[convention.net]
        figures[f"lpips_{convention.net}"] = lpips(
            ours, theirs, network, convention=convention
        ).mean
    if metrics.flip is not None:
        figures["flip"] = flip(ours, theirs, convention=metrics.flip).mean
    assert not any(math.isnan(value) for value in figures.values()), figures
    return figures


def _check_size(target: Float[Tensor, "3 height width"], metrics: Metrics, where: str) -> None:
    side = min(target.shape[1:])
    least = {"ssim": 2 * RADIUS + 1} if metrics.ssim is not None else {}
    least |= {f"lpips_{each.net}": BACKBONES[each.net].least_side for each in metrics.lpips}
    for name, smallest in least.items():
        if side < smallest:
            raise InputError(
                f"a picture {side} pixels high or wide is too small for {name}, which needs "
                f"{smallest}",
                where=where,
                fix="judge larger pictures, or leave that metric out: --without",
            )
