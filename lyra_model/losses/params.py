"""Declare the weights of losses and the network of loss `lpips`, as sections of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lyra_data.engine.params import Params


class PerceptualParams(Params):
    """The network of loss `lpips`. Lyra's values in brackets.

    Attributes:
        backbone: "vgg" (VGG-16) or "alex" (AlexNet) [vgg].
        weights: safetensors file with the backbone and LPIPS's own weights, from the folder of
            params.yaml (docs/training.md); null: none, and no phase may have a weight of lpips.
        max_height: higher pictures are shrunk to so many rows first.
    """

    backbone: Literal["vgg", "alex"]
    weights: Annotated[str, Field(min_length=1)] | None
    max_height: Annotated[int, Field(ge=32)]


class LossParams(Params):
    """The weight of every loss; one of weight 0 is not computed. Lyra's weights in brackets.

    Attributes:
        image: mean squared error of colours [1].
        ssim: 1 - SSIM [0].
        depth: depth up to scale and shift [0.05].
        metric_depth: relative depth error, for scenes of known scale [not in Lyra].
        picture_depth: relative error of where the Gaussians of a picture's pixels are, for decoders
            that are given pictures, in phases that do not prune [not in Lyra].
        opacity: mean opacity [0; 0.1 in phases that prune].
        lpips: distance in the features of train.perceptual [0.5].
        reference: reproduce Lyra's depth and opacity losses exactly, defects included (unknown
            pixels take part in the depth's median; the sigmoid of opacities is applied twice).
    """

    image: float = Field(ge=0)
    ssim: float = Field(ge=0)
    depth: float = Field(ge=0)
    metric_depth: float = Field(ge=0)
    picture_depth: float = Field(ge=0, default=0.0)
    opacity: float = Field(ge=0)
    lpips: float = Field(ge=0)
    reference: bool
