"""The arrays of the cache's files as our tensors, cameras, params and caches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_data.cache3d.cache import Cache3D, Cache3DParams
from lyra_data.scene.cameras import Cameras
from tests.conformance.trajectories import cameras_from

Arrays = dict[str, np.ndarray]


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


def cameras_of(arrays: Arrays, poses: str, matrices: str, depth: Tensor) -> Cameras:
    height, width = depth.shape[-2:]
    return cameras_from(arrays[poses], arrays[matrices], height, width)


def targets_of(arrays: Arrays) -> Cameras:
    depth = tensor(arrays["in_depth"])
    batch = {name: arrays[name][0] for name in ("in_target_w2c", "in_target_K")}
    return cameras_of(batch, "in_target_w2c", "in_target_K", depth)


def reference_params(params: dict[str, Any], threshold: float | None = None) -> Cache3DParams:
    return Cache3DParams(
        filter_threshold=params["filter_points_threshold"] if threshold is None else threshold,
        foreground_masking=params.get("foreground_masking", False),
        splatting="reference",
        pixel_centre=0.0,
        max_buffers=2,
    )


def build(arrays: Arrays, params: Cache3DParams) -> Cache3D:
    depth = tensor(arrays["in_depth"])[:, 0]
    mask = arrays.get("in_mask")
    valid = torch.ones_like(depth, dtype=torch.bool) if mask is None else tensor(mask)[:, 0] > 0
    cameras = cameras_of(arrays, "in_w2c", "in_K", depth)
    return Cache3D.build(tensor(arrays["in_image"]), depth, valid, cameras, params)
