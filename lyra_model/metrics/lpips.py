"""LPIPS: how far apart two pictures look to a network (Zhang et al. 2018); 0 for equal ones.

The network is that of loss `lpips`, in lyra_model/losses/perceptual_network.py; here stands what a
figure means. Papers differ in the backbone, in whether pictures are brought to the range that the
network was trained with, and in how distances are averaged, and so do their figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lyra_model.metrics.scores import Scores


@dataclass(frozen=True)
class LpipsConvention:
    """The choices in which LPIPS of different papers differ.

    Attributes:
        net: the backbone, VGG-16 or AlexNet, with version 0.1 of the learned weights.
        network_range: range that pictures are given to the network in: "[-1, 1]" as it was trained
            with (`normalize=True` of the package), or "[0, 1]" unchanged, as 3D Gaussian Splatting
            and what follows it do.
        averaging: "stage" averages each of the five distance maps at its own size; "pixel" first
            enlarges it to the picture's size, bilinearly (`spatial=True` of the package).
    """

    net: Literal["vgg", "alex"] = "vgg"
    network_range: Literal["[-1, 1]", "[0, 1]"] = "[-1, 1]"
    averaging: Literal["stage", "pixel"] = "stage"


@runtime_checkable
class DistanceMaps(Protocol):
    """A network that compares pictures by its features."""

    def distance_maps(
        self,
        predicted: Float[Tensor, "frame 3 height width"],
        target: Float[Tensor, "frame 3 height width"],
    ) -> list[Float[Tensor, "frame stage_height stage_width"]]:
        """Return one map of weighted distances a stage, for pictures in the network's range."""
        ...


@torch.no_grad()
def lpips(
    predicted: Float[Tensor, "frame 3 height width"],
    target: Float[Tensor, "frame 3 height width"],
    network: DistanceMaps,
    *,
    convention: LpipsConvention = LpipsConvention(),
) -> Scores:
    """Return the sum over stages of the mean distance; images in [0, 1], clipped to it first.

    Pictures are not resized and nothing is rounded to 8 bits. All pixels count: a mask would not
    keep what it hides out of the features.

    Args:
        network: of the convention's backbone, with its weights.
    """
    height, width = predicted.shape[-2:]
    predicted, target = predicted.clamp(0, 1), target.clamp(0, 1)
    if convention.network_range == "[-1, 1]":
        predicted, target = 2 * predicted - 1, 2 * target - 1
    values = predicted.new_zeros(len(predicted))
    for distances in network.distance_maps(predicted, target):
        if convention.averaging == "pixel":
            distances = F.interpolate(
                distances[:, None], size=(height, width), mode="bilinear", align_corners=False
            )[:, 0]
        values = values + distances.mean((1, 2))
    return Scores(values.double(), torch.full((len(values),), height * width))
