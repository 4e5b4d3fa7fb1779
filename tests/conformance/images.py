"""Assembling one sample against the reference's: relative poses, intrinsics, times.

Its image resize (floored crop, antialiased bilinear, depth picked at pixel corners) is not ours:
see lyra_data.framing. Nothing is compared for it, nor for the depth colours of its videos.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.cameras import Cameras, invert_rigid
from lyra_model.decoder.inputs import scaled
from lyra_model.decoder.times import embed_times, normalise_times
from tests.conformance.base import Comparison, Result, load_arrays, skip


def check(entry: dict[str, Any], folder: Path) -> Result:
    if "sample_assembly" not in entry["file"]:
        return skip(entry, "the reference's resize and depth colours are not offered")
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    params = entry["params"]
    num_inputs = params["views"] * params["frames"]
    poses = arrays["in_c2w"].double()
    cameras = Cameras(
        invert_rigid(poses) if params["is_w2c"] else poses,
        arrays["in_K"].double(),
        *params["source"],
    )
    framed = _framed(cameras, *params["target"])
    placed = scaled(framed.relative_to(cameras.camera_to_world[0]), params["scene_scale"])
    inputs, targets = placed[:num_inputs], placed[num_inputs:]

    comparison = Comparison(entry)
    comparison.add("input poses", inputs.camera_to_world, arrays["out_c2ws_input"])
    comparison.add("target views", targets.world_to_camera.mT, arrays["out_cam_view"])
    comparison.add("input intrinsics", inputs.intrinsics, arrays["out_intrinsics_input"])
    comparison.add("target intrinsics", targets.intrinsics, arrays["out_intrinsics"])
    embedded = embed_times(normalise_times(_times(arrays["in_times"], params)))
    comparison.add("input times", embedded[:-1], arrays["out_time_embeddings"])
    comparison.add("target time", embedded[-1:], arrays["out_time_embeddings_target"])
    return comparison.result()


def _framed(cameras: Cameras, height: int, width: int) -> Cameras:
    """The largest centred window, its sides rounded down as the reference does, resized."""
    scale = min(cameras.height / height, cameras.width / width)
    window_height, window_width = int(height * scale), int(width * scale)
    top, left = (cameras.height - window_height) // 2, (cameras.width - window_width) // 2
    return cameras.cropped(top, left, window_height, window_width).resized(height, width)


def _times(times: Tensor, params: dict[str, Any]) -> Tensor:
    """Times of the first view's frames and, last, of the target."""
    return torch.cat([times[: params["frames"]], times[-1:]])
