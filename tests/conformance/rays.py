"""Rays, Pluecker coordinates, time embeddings and the choice of frames against the reference's."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.frame_selection import mirrored
from lyra_model.decoder.rays import coarse_rays, pluecker, rays
from lyra_model.decoder.times import embed_times, normalise_times
from lyra_model.phases.view_sampling import choose, frame_chances
from tests.conformance.base import Comparison, Result, load_arrays


def check(entry: dict[str, Any], folder: Path) -> Result:
    if entry["file"].endswith(".json"):
        cases = json.loads((folder / entry["file"]).read_text())
        return (
            _check_mirrored(entry, cases)
            if "mirror" in entry["file"]
            else _check_chances(entry, cases)
        )
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


def _check_mirrored(entry: dict[str, Any], cases: list[dict[str, Any]]) -> Result:
    """Where the reference raises, ours has to go on as a walk to and fro does."""
    comparison = Comparison(entry)
    for place, case in enumerate(cases):
        stride, total = case.get("stride", 1), case["total"]
        length = min(case.get("clip_length", total), total)
        # The reference plays a window of clip_length frames, and draws where it begins.
        shift = (
            random.Random(case.get("python_seed")).randint(0, total - length)
            if length < total
            else 0
        )
        ours = mirrored(case["num"], length, first=case["start"], stride=stride)
        walked = _walk(case["num"], length, case["start"], stride)
        expected = walked if "raises" in case else [index - shift for index in case["out"]]
        what = f"case {place}" + (" (the reference raises)" if "raises" in case else "")
        comparison.add(what, ours, expected)
    return comparison.result()


def _walk(num: int, length: int, start: int, stride: int) -> list[int]:
    """Steps to and fro between the first and the last frame, one at a time."""
    visited, position, direction = [0], 0, 1
    while len(visited) < start + num * stride:
        if not 0 <= position + direction < length:
            direction = -direction
        position = min(max(position + direction, 0), length - 1)
        visited.append(position)
    return visited[start : start + num * stride : stride]


def _check_chances(entry: dict[str, Any], cases: list[dict[str, Any]]) -> Result:
    """Probabilities, and the draws of NumPy's legacy generator."""
    comparison = Comparison(entry)
    for place, case in enumerate(cases):
        chances = frame_chances(case["n"], case["bias"])
        if case.get("probabilities") is not None:
            comparison.add(f"case {place} probabilities", chances, case["probabilities"])
        if "sample" in case:
            generator = np.random.RandomState(case["numpy_legacy_seed"])
            given = None if case["bias"] == "uniform" else chances
            drawn = choose(generator, case["n"], case["sample_of"], given)
            comparison.add(f"case {place} draw", drawn, case["sample"], {"exact": True})
            if "sample_probabilities" in case:
                expected = case["sample_probabilities"]
                comparison.add(f"case {place} chances of it", chances[drawn], expected)
    return comparison.result()
