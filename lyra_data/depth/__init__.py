"""Depth of single pictures: given with them, or estimated."""

from lyra_data.depth.base import DepthEstimator
from lyra_data.registry import Registry

DEPTH_ESTIMATORS: Registry[DepthEstimator] = Registry(
    "depth estimator",
    {
        "given": "lyra_data.depth.given:GivenDepth",
        "moge": "lyra_data.depth.moge:Moge",
        "transformers": "lyra_data.depth.transformers:TransformersDepth",
    },
)
