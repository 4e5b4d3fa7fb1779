"""The promise of a renderer: Gaussians and cameras in; colour, depth and alpha out.

Semantics are gsplat 1.5.3's classic rasterization, whatever the backend: pixel centres at +0.5,
0.3 pixel^2 added to the screen covariance, alpha = min(0.999, opacity * exp(-sigma)), contributions
under 1/255 skipped, compositing stopped before transmittance falls under 1e-4, Gaussians outside
[near, far] culled, depth = sum(weight * z) / max(alpha, 1e-10), background added to colour only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from lyra_data.cameras import Cameras
from lyra_data.params import Params
from lyra_model.gaussians import Gaussians


class RenderingParams(Params):
    """Settings of the renderer. The reference's values stand in brackets.

    Attributes:
        near: smallest z depth of a Gaussian that is drawn, in world units [0.1].
        far: largest [500].
        background: RGB, 0..1, shown where no Gaussian covers it [white].
    """

    near: Annotated[float, Field(gt=0)]
    far: Annotated[float, Field(gt=0)]
    background: tuple[float, float, float]

    @model_validator(mode="after")
    def _far_must_be_beyond_near(self) -> RenderingParams:
        if self.far <= self.near:
            raise ValueError(f"far {self.far} is not beyond near {self.near}")
        return self


@dataclass(frozen=True)
class Render:
    """What a renderer returns.

    Attributes:
        rgb: background already added; 0..1 for colours in 0..1.
        depth: expected z depth, in world units; 0 where alpha is 0.
        alpha: accumulated opacity, 0..1.
    """

    rgb: Float[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame height width"]
    alpha: Float[Tensor, "frame height width"]


@runtime_checkable
class Renderer(Protocol):
    """Differentiable in every field of the Gaussians and in cameras.camera_to_world."""

    def render(self, gaussians: Gaussians, cameras: Cameras, params: RenderingParams) -> Render: ...
