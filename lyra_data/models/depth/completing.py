"""Completing: a picture that came without depth or intrinsics gets an estimate of what is missing.

What was given is kept as it is.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import torch

from lyra_data.engine.errors import InputError
from lyra_data.models.depth.base import DepthEstimate, DepthEstimator, central_intrinsics
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.material import SourceMaterial

log = logging.getLogger(__name__)


def complete_depth(material: SourceMaterial, estimator: DepthEstimator) -> SourceMaterial:
    """Return the material with depth and intrinsics: its own, else estimated.

    The estimator is not asked, nor loaded, where nothing is missing.

    Raises:
        InputError: the depth or the intrinsics of the picture cannot be told, or it is a video.
        ParamsError: the estimator's model is not installed or not downloaded.
    """
    if material.depth is not None and material.cameras is not None:
        return material
    where = material.location or f"scene {material.scene_id}"
    if len(material.frames) > 1:
        raise InputError(
            f"a video of {len(material.frames)} frames without "
            + ("depth" if material.depth is None else "cameras"),
            where=where,
            fix="choose an annotator that estimates both from a video; annotate.depth is for "
            "single pictures",
        )
    estimate = _estimate(material, estimator, where)
    intrinsics, intrinsics_from = estimate.intrinsics, estimator.fingerprint
    if intrinsics is None and (degrees := material.assumed_field_of_view_degrees) is not None:
        height, width = material.frames.shape[-2:]
        intrinsics = central_intrinsics(math.radians(degrees), height=height, width=width)
        intrinsics_from = f"assumed: {degrees:g} degrees horizontally"
        log.warning("%s: nothing tells its field of view, taken to be %g degrees", where, degrees)
    if intrinsics is None:
        raise InputError(
            f"there are no intrinsics, and depth estimator {estimator.name!r} estimates none",
            where=where,
            fix="put intrinsics.json there (docs/inputs.md), or give the estimator a field of "
            "view, or choose one that estimates it (moge, or transformers with Depth Pro)",
        )
    estimated = {"depth_estimator": estimator.fingerprint}
    if material.cameras is None:
        height, width = material.frames.shape[-2:]
        cameras = Cameras(torch.eye(4)[None], intrinsics[None], height, width)
        material = replace(material, cameras=cameras)
        estimated |= {"intrinsics": "estimated", "intrinsics_from": intrinsics_from}
    if material.depth is None:
        material = replace(
            material,
            depth=estimate.depth[None],
            depth_valid=estimate.valid[None],
            depth_scale=estimate.scale,
        )
        estimated["depth"] = "estimated"
    return replace(material, provenance=material.provenance | estimated)


def _estimate(material: SourceMaterial, estimator: DepthEstimator, where: str) -> DepthEstimate:
    given = None if material.cameras is None else material.cameras.intrinsics[0]
    if material.depth is not None and not estimator.has_model:
        # All that is missing are the intrinsics, and this estimator would speak of depth.
        return DepthEstimate(material.depth[0], material.depth[0] > 0, "metric", None)
    try:
        return estimator.estimate(material.frames[0], given)
    except InputError as error:
        raise InputError(error.what, where=error.where or where, fix=error.fix) from error
