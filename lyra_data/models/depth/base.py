"""The promise of a depth estimator: one picture in, z depth with a validity mask out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.placement import Placement
from lyra_data.scene.clip import DepthScale

MIN_SIDE = 32
"""Pixels. Models enlarge what is smaller than they were trained on, and then tell of blur."""


@dataclass(frozen=True)
class DepthEstimate:
    """An estimator's result for one picture.

    Attributes:
        depth: z depth; exactly 0 where unknown.
        valid: True where the depth is known.
        scale: "metric" (metres) or "up_to_scale".
        intrinsics: fx, fy, cx, cy in pixels (centres at +0.5): those given, else the estimator's
            own; None where it estimates none.
    """

    depth: Float[Tensor, "height width"]
    valid: Bool[Tensor, "height width"]
    scale: DepthScale
    intrinsics: Float[Tensor, " 4"] | None

    @staticmethod
    def where_possible(
        depth: Float[Tensor, "height width"],
        valid: Bool[Tensor, "height width"],
        scale: DepthScale,
        intrinsics: Float[Tensor, " 4"] | None,
    ) -> DepthEstimate:
        """Make an estimate of a model's output, on the CPU: only positive, finite depth is known.

        Raises:
            InputError: that leaves nothing.
        """
        depth = depth.detach().float().cpu()
        valid = valid.cpu() & depth.isfinite() & (depth > 0)
        if not valid.any():
            raise InputError(
                f"the depth model tells no depth for any of the {valid.numel()} pixels",
                fix="look whether the picture shows anything but sky; give depth with it, or "
                "choose another model",
            )
        return DepthEstimate(torch.where(valid, depth, 0.0), valid, scale, intrinsics)


@runtime_checkable
class DepthEstimator(Protocol):
    """Loaded at its first picture, once per worker."""

    name: ClassVar[str]

    has_model: ClassVar[bool]
    """False: nothing is estimated, so depth has to come with the picture, and `estimate` refuses
    what has none."""

    @property
    def fingerprint(self) -> str:
        """Names the exact model: weights and settings that change its depth."""
        ...

    def run_on(self, placement: Placement) -> None:
        """Take where to run; called once, before the first picture."""
        ...

    def estimate(
        self, image: UInt8[Tensor, "3 height width"], intrinsics: Float[Tensor, " 4"] | None
    ) -> DepthEstimate:
        """Estimate the depth of every pixel it can; results lie on the CPU.

        Raises:
            InputError: the picture's depth cannot be told.
            ParamsError: the model is not installed or not downloaded; names the command.
        """
        ...


def check_size(height: int, width: int) -> None:
    """Refuse a picture that no model can tell anything of.

    Raises:
        InputError: a side is shorter than MIN_SIDE.
    """
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"a picture of {width}x{height} pixels is too small to estimate its depth",
            fix=f"give one of at least {MIN_SIDE}x{MIN_SIDE}, or depth with it",
        )


def central_intrinsics(
    field_of_view_radians: float, *, height: int, width: int
) -> Float[Tensor, " 4"]:
    """Return fx, fy, cx, cy of square pixels and a centred axis, from the horizontal field of
    view."""
    focal = 0.5 * width / torch.tan(torch.tensor(0.5 * field_of_view_radians)).item()
    return torch.tensor([focal, focal, width / 2, height / 2])
