"""Turn matching costs into the share that every depth has in a pixel's.

Costs are averaged over small and over larger squares. The network says, pixel by pixel, how much
each average counts, how sharply the best depth is preferred, and which depths it expects itself; it
says so of all depths alike, so that it has little to learn.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lyra_model.decoder.pictures.plane_sweep import MatchingCosts

SQUARES = (3, 7)
"""Sides of the squares that costs are averaged over, in pixels of the pictures that are matched."""

FIRST_WEIGHTS = (1.0, 1.0, 0.3, 0.3)
"""Weights of the averages before training: best and mean of the small square, of the large."""

NUM_MATCHING_WEIGHTS = len(FIRST_WEIGHTS) + 1

FIRST_SHARPNESS = 30.0
"""Before training: on unseen rooms at 64x96 plain plane sweep is 6 to 11 % off with it."""

SHARPNESS_CHANGE = (-3.0, 1.0)
"""Range of the logarithm by which the network changes it."""

LEAST_CONTRAST = 0.01
"""Costs whose mean is above the least one by less than a few of these say little."""

MOST_COST = 2.0
"""Larger ones, in units of their mean, are one to the network."""


def filtered_costs(costs: MatchingCosts) -> Float[Tensor, "picture average plane row column"]:
    """Return the costs averaged over every square, in the order of FIRST_WEIGHTS."""
    averages = [_averaged(each, side) for side in SQUARES for each in (costs.best, costs.mean)]
    return torch.stack(averages, dim=1)


def first_look(costs: Float[Tensor, "picture average plane row column"]) -> list[Tensor]:
    """Return what the network reads: costs in units of their contrast, the least one, contrast."""
    weights = costs.new_tensor(FIRST_WEIGHTS)[None, :, None, None]
    relative, least, contrast = _standardised(_combined(costs, weights / weights.sum()))
    return [relative.clamp(max=MOST_COST), least * 10, contrast * 10]


def plane_shares(
    costs: Float[Tensor, "picture average plane row column"],
    raw: Float[Tensor, "picture c row column"],
) -> Float[Tensor, "picture plane row column"]:
    """Return the share of every depth, given what the network says: a correction for every plane,
    one for the weight of every average, one for the sharpness."""
    expected, of_averages, of_sharpness = raw.split([costs.shape[2], costs.shape[1], 1], dim=1)
    first = costs.new_tensor([math.log(weight) for weight in FIRST_WEIGHTS])
    weights = (of_averages + first[:, None, None]).softmax(1)
    relative, _, _ = _standardised(_combined(costs, weights))
    sharpness = FIRST_SHARPNESS * of_sharpness.clamp(*SHARPNESS_CHANGE).exp()
    return (expected - sharpness * relative).softmax(1)


def _averaged(
    costs: Float[Tensor, "picture plane row column"], side: int
) -> Float[Tensor, "picture plane row column"]:
    padded = F.pad(costs, (side // 2,) * 4, mode="replicate")
    return F.avg_pool2d(padded, side, stride=1)


def _combined(costs: Tensor, weights: Tensor) -> Float[Tensor, "picture plane row column"]:
    return (costs * weights[:, :, None]).sum(1)


def _standardised(
    costs: Float[Tensor, "picture plane row column"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return costs above the least one in units of their mean above it, the least one, the mean."""
    least = costs.amin(1, keepdim=True)
    contrast = costs.mean(1, keepdim=True) - least
    return (costs - least) / (contrast + LEAST_CONTRAST), least, contrast
