"""The `given` estimator: none. Depth comes with the source, and what has none is refused."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.models.depth.base import DepthEstimate


class GivenDepthParams(Params):
    """Nothing to set."""

    name: Literal["given"]


class GivenDepth:
    """See the module's docstring."""

    Params = GivenDepthParams
    name: ClassVar[str] = "given"
    has_model: ClassVar[bool] = False

    def __init__(self, params: GivenDepthParams) -> None:
        self.params = params

    @property
    def fingerprint(self) -> str:
        return "given"

    def run_on(self, placement: Placement) -> None:
        """Do nothing: it runs nowhere."""

    def estimate(
        self,
        image: UInt8[Tensor, "3 height width"],  # noqa: ARG002
        intrinsics: Float[Tensor, " 4"] | None,  # noqa: ARG002
    ) -> DepthEstimate:
        raise InputError(
            "there is no depth, and depth estimator 'given' estimates none",
            fix="put the picture's depth there (docs/inputs.md), or choose an estimator: moge or "
            "transformers",
        )
