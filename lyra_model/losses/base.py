"""Define what a loss may look at, the promise of a loss, and what the weighted sum returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jaxtyping import Bool, Float
from torch import Tensor

from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import Render

if TYPE_CHECKING:
    from lyra_model.losses.perceptual_network import PerceptualNetwork


@dataclass(frozen=True)
class PictureTruth:
    """Says where the Gaussians of the pixels of the decoder's own pictures should be.

    Attributes:
        depth: true z depth, in world units; 0 where unknown.
        world_to_camera: of the pictures.
    """

    depth: Float[Tensor, "picture height width"]
    world_to_camera: Float[Tensor, "picture 4 4"]


@dataclass(frozen=True)
class LossInput:
    """One scene's renders, what they should be, and the Gaussians.

    Attributes:
        render: of the target cameras.
        rgb: the target frames, 0..1.
        depth: their z depth in world units; 0 where unknown.
        depth_valid: True where the depth is known.
        gaussians: the scene that was rendered.
        perceptual: the network of loss `lpips`; None where that has no weight.
        picture_truth: of the pictures that the decoder was given; None: it reads latents alone.
    """

    render: Render
    rgb: Float[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame height width"]
    depth_valid: Bool[Tensor, "frame height width"]
    gaussians: Gaussians
    perceptual: PerceptualNetwork | None = None
    picture_truth: PictureTruth | None = None


class Loss(Protocol):
    """A function of `LossInput` that returns an unweighted, differentiable scalar."""

    def __call__(self, inputs: LossInput, *, reference: bool) -> Float[Tensor, ""]:
        """`reference` asks for the reference's numbers where they differ from the right ones."""
        ...


@dataclass(frozen=True)
class LossValue:
    """The weighted sum of one step.

    Attributes:
        total: to call backward() on.
        terms: the unweighted value of every loss of positive weight, for the log.
    """

    total: Float[Tensor, ""]
    terms: dict[str, float]
