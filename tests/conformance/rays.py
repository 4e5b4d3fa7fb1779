"""Rays, Pluecker coordinates and time embeddings against the reference's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_data.cameras import Cameras
from lyra_model.decoder.rays import coarse_rays, pluecker, rays
from lyra_model.decoder.times import embed_times, normalise_times
from tests.conformance.base import Comparison, Result, load_arrays, skip


def check(entry: dict[str, Any], folder: Path) -> Result:
    if entry["file"].endswith(".json"):
        return skip(entry, "the loader takes whole clips and draws targets uniformly")
    arrays = {name: torch.from_numpy(array) for name, array in load_arrays(entry, folder).items()}
    if "timestep" in entry["file"]:
        return _check_times(entry, arrays)
    return _check_rays(entry, arrays)


def _check_rays(entry: dict[str, Any], arrays: dict[str, Tensor]) -> Result:
    comparison = Comparison(entry)
    exact, rounded = entry["tolerance"]["float32"], entry["tolerance"]["bf16"]
    height, width = entry["params"]["image_size"]
    factor = entry["params"]["patch_size_out_factor"][-1]
    for scene, (poses, intrinsics) in enumerate(zip(arrays["in_c2w"], arrays["in_K"], strict=True)):
        cameras = Cameras(poses, intrinsics, height, width)
        origins, directions = rays(cameras)
        coarse_origins, coarse_directions = coarse_rays(cameras, factor)
        mirrored = arrays["in_flip_flag"][:, None, None, None]
        flipped = torch.where(mirrored, directions.flip(-1), directions)
        for name, ours, tolerance in (
            ("plucker", pluecker(cameras), exact),
            ("rays_o", origins, exact),
            ("rays_d", directions, exact),
            ("patch_rays_o", coarse_origins, exact),
            ("patch_rays_d", coarse_directions, exact),
            ("flip_rays_d", flipped, exact),
            ("bf16_plucker", pluecker(cameras), rounded),
            ("bf16_patch_rays_d", coarse_directions, rounded),
        ):
            comparison.add(f"{name} {scene}", ours, arrays[f"out_{name}"][scene], tolerance)
    return comparison.result()


def _check_times(entry: dict[str, Any], arrays: dict[str, Tensor]) -> Result:
    comparison = Comparison(entry)
    times = arrays["in_t"]
    comparison.add("[t, cos, sin]", embed_times(times), arrays["out_dim3_orig_period10000"])
    # The other sizes in the file are of embeddings that no released model uses.
    normalised = normalise_times(arrays["in_frame_indices"])
    comparison.add("normalised", normalised, arrays["out_normalised_times"])
    comparison.add("embedded", embed_times(normalised), arrays["out_time_embedding"])
    return comparison.result()
