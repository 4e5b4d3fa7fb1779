"""Depth of single pictures: given with them, or estimated."""

from lyra_data.engine.registry import Registry
from lyra_data.models.depth.base import DepthEstimator

DEPTH_ESTIMATORS: Registry[DepthEstimator] = Registry(
    "depth estimator",
    {
        "given": "lyra_data.models.depth.given:GivenDepth",
        "moge": "lyra_data.models.depth.moge:Moge",
        "transformers": "lyra_data.models.depth.transformers:TransformersDepth",
    },
)
