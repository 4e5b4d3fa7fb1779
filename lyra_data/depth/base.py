"""The promise of a depth estimator: one picture in, z depth with a validity mask out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.clip import DepthScale
from lyra_data.placement import Placement


@dataclass(frozen=True)
class DepthEstimate:
    """What an estimator says of one picture.

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


@runtime_checkable
class DepthEstimator(Protocol):
    """Loaded at its first picture, once per worker."""

    name: ClassVar[str]

    @property
    def fingerprint(self) -> str:
        """Names the exact model: weights and settings that change its depth."""
        ...

    def place(self, placement: Placement) -> None:
        """Told once, before the first picture, where to run."""
        ...

    def estimate(
        self, image: UInt8[Tensor, "3 height width"], intrinsics: Float[Tensor, " 4"] | None
    ) -> DepthEstimate:
        """Depth of every pixel it can tell; results lie on the CPU.

        Raises:
            InputError: the picture's depth cannot be told.
            ParamsError: the model is not installed or not downloaded; names the command.
        """
        ...
