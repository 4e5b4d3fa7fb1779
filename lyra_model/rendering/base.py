"""The promise of a renderer: Gaussians and cameras in; colour, depth and alpha out.

Semantics are gsplat 1.5.3's classic rasterization, whatever the backend: pixel centres at +0.5,
0.3 pixel^2 added to the screen covariance, alpha = min(0.999, opacity * exp(-sigma)), contributions
under 1/255 skipped, compositing stopped before transmittance falls under 1e-4, Gaussians outside
[near, far] culled, depth = sum(weight * z) / max(alpha, 1e-10), background added to colour only.
With 3DGUT (`with_ut`, `with_eval3d`), which only gsplat has, projection and response are its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params
from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians


class RenderingParams(Params):
    """Settings of the renderer. The reference's values stand in brackets.

    Attributes:
        near: smallest z depth of a Gaussian that is drawn, in world units [0.1].
        far: largest [500].
        background: RGB, 0..1, shown where no Gaussian covers it [white].
        patch_pixels: side of the patches that a training step renders and differentiates one
            after the other, to save memory, a multiple of 16; null: whole pictures. Losses see
            whole pictures all the same, and the results differ by rounding (docs/rendering.md).
        with_ut: project by gsplat's unscented transform (3DGUT) [true]; on CUDA only. Needs
            with_eval3d: that projection has no gradient.
        with_eval3d: a Gaussian's response is evaluated in the world, not on the screen [true]; on
            CUDA only, and without a gradient for cameras.
    """

    near: Annotated[float, Field(gt=0)]
    far: Annotated[float, Field(gt=0)]
    background: tuple[float, float, float]
    patch_pixels: Annotated[int, Field(ge=16, multiple_of=16)] | None
    with_ut: bool
    with_eval3d: bool

    @model_validator(mode="after")
    def _far_must_be_beyond_near(self) -> RenderingParams:
        if self.far <= self.near:
            raise ValueError(f"far {self.far} is not beyond near {self.near}")
        return self

    @model_validator(mode="after")
    def _an_unscented_projection_has_no_gradient(self) -> RenderingParams:
        if self.with_ut and not self.with_eval3d:
            raise ValueError("with_ut needs with_eval3d, or Gaussians would get no gradient")
        return self


@dataclass(frozen=True)
class Window:
    """A part of a picture: `height` x `width` pixels from (left, top) on."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    @staticmethod
    def whole(cameras: Cameras) -> Window:
        return Window(0, 0, cameras.height, cameras.width)


def patches(height: int, width: int, patch_pixels: int) -> list[Window]:
    """Windows that cover a picture once, row by row; the last of a row or column may be smaller."""
    return [
        Window(top, left, min(patch_pixels, height - top), min(patch_pixels, width - left))
        for top in range(0, height, patch_pixels)
        for left in range(0, width, patch_pixels)
    ]


def refuse_3dgut(params: RenderingParams, backend: str) -> None:
    """Refuse settings of 3DGUT, for backends that have none.

    Raises:
        ParamsError: params ask for it.
    """
    if params.with_ut or params.with_eval3d:
        raise ParamsError(
            f"the {backend} renderer has no 3DGUT (with_ut, with_eval3d); only gsplat has it",
            where="params.yaml: train.rendering",
            fix="set with_ut and with_eval3d to false, or render on CUDA",
        )


@dataclass(frozen=True)
class Render:
    """Pictures that a renderer returns.

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

    def render(
        self,
        gaussians: Gaussians,
        cameras: Cameras,
        params: RenderingParams,
        window: Window | None = None,
    ) -> Render:
        """Every camera's picture, or that part of it which lies in the window."""
        ...
