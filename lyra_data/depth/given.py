"""The `given` estimator: none. Depth comes with the source, and what has none is refused."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.depth.base import DepthEstimate
from lyra_data.errors import InputError
from lyra_data.params import Params
from lyra_data.placement import Placement


class GivenDepthParams(Params):
    """Nothing to set."""

    name: Literal["given"]


class GivenDepth:
    """See the module's docstring."""

    Params = GivenDepthParams
    name: ClassVar[str] = "given"

    def __init__(self, params: GivenDepthParams) -> None:
        self.params = params

    @property
    def fingerprint(self) -> str:
        return "given"

    def place(self, placement: Placement) -> None:
        """Runs nowhere."""

    def estimate(
        self,
        image: UInt8[Tensor, "3 height width"],  # noqa: ARG002
        intrinsics: Float[Tensor, " 4"] | None,  # noqa: ARG002
    ) -> DepthEstimate:
        raise InputError(
            "this picture comes without depth, and depth 'given' estimates none",
            fix="give a depth map with the picture, or choose depth {name: moge} or "
            "{name: transformers} in params.yaml",
        )
