"""Unprojection, splatting, masking and alignment of the 3D cache against the reference."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_data.cache3d.alignment import align_depth
from lyra_data.cache3d.occlusion import (
    boundary_mesh,
    nearest_hit,
    pixel_rays,
    reliable_depth_reference,
)
from lyra_data.cache3d.reference_splat import splat_reference
from lyra_data.cache3d.reference_warp import ReferenceWarp, warp_reference
from lyra_data.scene.projection import (
    pixel_positions,
    project_as_reference,
    transform_points,
    unproject,
)
from tests.conformance.base import Comparison, Result, load_arrays, skip
from tests.conformance.cache_inputs import Arrays, cameras_of, tensor
from tests.conformance.cache_renders import check_cache, check_cache_update


def check(entry: dict[str, Any], folder: Path) -> Result:
    """What is compared follows from how the file's name begins; the rest of it is free."""
    comparison = Comparison(entry)
    stem = Path(entry["file"]).stem
    known = [name for name in CHECKS if stem.startswith(name)]
    if not known:
        return skip(entry, "nothing here compares files of this name")
    CHECKS[max(known, key=len)](comparison, load_arrays(entry, folder))
    return comparison.result()


def check_unproject_project(comparison: Comparison, arrays: Arrays) -> None:
    depth = tensor(arrays["in_depth"])[:, 0]
    source = cameras_of(arrays, "in_w2c", "in_K", depth).to(torch.float32)
    positive, mask = depth > 0, torch.from_numpy(arrays["in_mask"])[:, 0]
    points = unproject(depth, positive, source, pixel_centre=0.0)
    along_ray = unproject(depth, positive, source, pixel_centre=0.0, depth_is_distance=True)
    masked = unproject(depth, mask, source, pixel_centre=0.0)
    comparison.add("points_zdepth", points, arrays["out_points_zdepth"])
    comparison.add("points_raylength", along_ray, arrays["out_points_raylength"])
    comparison.add("points_zdepth_masked", masked, arrays["out_points_zdepth_masked"])

    target = cameras_of(arrays, "in_w2c_target", "in_K", depth).to(torch.float32)
    camera_points = transform_points(points, tensor(arrays["in_w2c_target"]))
    comparison.add("target_cam_points", camera_points, arrays["out_target_cam_points"])
    homogeneous = arrays["out_projected_homogeneous"][..., 0]
    in_front = homogeneous[..., 2] > 1e-3
    positions = project_as_reference(camera_points, target.intrinsics).numpy()
    expected = homogeneous[..., :2] / (homogeneous[..., 2:] + 1e-7)
    comparison.add("projected", positions[in_front], expected[in_front])


def check_reliable_depth_mask(comparison: Comparison, arrays: Arrays) -> None:
    """Names say what is not the default: thresh010 is 0.10, window3 a window of 3 pixels."""
    depth = tensor(arrays["in_depth"])[:, 0]
    for name in filter(lambda name: name.startswith("out_mask_"), arrays):
        hundredths, window = (re.search(rf"{word}(\d+)", name) for word in ("thresh", "window"))
        mask = reliable_depth_reference(
            depth,
            threshold=int(hundredths[1]) / 100 if hundredths else 0.05,
            window=int(window[1]) if window else 5,
        )
        # 3d_input: the reference was given depth without a channel axis.
        comparison.add(name, mask.reshape(arrays[name].shape), arrays[name])


def check_bilinear_splatting(comparison: Comparison, arrays: Arrays) -> None:
    frame, depth = tensor(arrays["in_frame"]), tensor(arrays["in_depth"])[:, 0]
    grid = pixel_positions(*depth.shape[1:], pixel_centre=0.0, like=depth).permute(2, 0, 1)
    positions = tensor(arrays["in_flow"]) + grid
    mask, flow_mask = tensor(arrays["in_mask"])[:, 0], tensor(arrays["in_flow_mask"])[:, 0]
    every = torch.ones_like(mask)
    for suffix, weights, is_image, num_views in (
        ("image", mask, True, 1),
        ("values", mask, False, 1),
        ("nomask", every, True, 1),
        ("flowmask", mask * flow_mask, True, 1),
        ("nviews", mask, True, comparison.entry["params"].get("n_views", 2)),
    ):
        values, known = splat_reference(
            frame, positions, depth, weights, is_image=is_image, num_views=num_views
        )
        comparison.add(f"{suffix}_frame", values, arrays[f"out_{suffix}_frame"])
        comparison.add(f"{suffix}_mask", known[:, None], arrays[f"out_{suffix}_mask"])


def check_forward_warp(comparison: Comparison, arrays: Arrays) -> None:
    frame, depth = tensor(arrays["in_frame"]), tensor(arrays["in_depth"])[:, 0]
    source = cameras_of(arrays, "in_w2c_source", "in_K", depth).to(torch.float32)
    target = cameras_of(arrays, "in_w2c_target", "in_K", depth).to(torch.float32)
    points = unproject(depth, depth > 0, source, pixel_centre=0.0)
    given = tensor(arrays["in_world_points"])
    mask = tensor(arrays["in_mask"])[:, 0]
    every, boundary = torch.ones_like(mask), torch.from_numpy(arrays["in_boundary_mask"])
    for name, world_points, weights, edges in (
        ("depth_path", points, every, None),
        ("depth_path_masked", points, mask, None),
        ("points_path", given, every, None),
        ("points_foreground", given, every, boundary),
        ("depth_foreground", points, every, boundary),
    ):
        warp = warp_reference(frame, world_points, weights, target, boundary=edges)
        _compare_warp(comparison, arrays, name, warp)

    camera_points = transform_points(given, tensor(arrays["in_w2c_target"]))
    rays = pixel_rays(target)
    tolerance = comparison.entry["tolerance"]["mesh"]
    for index in range(len(depth)):
        if f"out_mesh{index}_rays" in arrays:
            expected = arrays[f"out_mesh{index}_rays"]
            comparison.add(f"mesh{index}_rays", rays[index], expected, tolerance)
        vertices, faces = boundary_mesh(camera_points[index], boundary[index])
        expected = arrays[f"out_mesh{index}_vertices"]
        comparison.add(f"mesh{index}_vertices", vertices, expected, tolerance)
        ours, theirs = (
            sorted(map(sorted, f.tolist())) for f in (faces, arrays[f"out_mesh{index}_faces"])
        )
        comparison.add(f"mesh{index}_faces", ours, theirs, {"exact": True})
        distance = nearest_hit(rays[index], vertices, faces, target.intrinsics[[index]])
        expected = arrays[f"out_mesh{index}_raylength"]
        comparison.add(f"mesh{index}_raylength", distance, expected, tolerance)


def _compare_warp(comparison: Comparison, arrays: Arrays, name: str, warp: ReferenceWarp) -> None:
    tolerance = comparison.entry["tolerance"]
    for output, values in (
        ("frame", warp.frames),
        ("mask", warp.known[:, None]),
        ("flow", warp.flow),
        ("depth", warp.depth),
    ):
        if f"out_{name}_{output}" in arrays:
            expected = arrays[f"out_{name}_{output}"]
            comparison.add(f"{name}_{output}", values, expected, tolerance[output])


def check_align_depth(comparison: Comparison, arrays: Arrays) -> None:
    for case in sorted({name.split("__")[0] for name in arrays}):
        depth, known_depth = (
            tensor(arrays[f"{case}__in_{side}_depth"]) for side in ("source", "target")
        )
        camera = cameras_of(
            {
                "w2c": np.linalg.inv(arrays[f"{case}__in_c2w"].astype(np.float64)),
                "K": arrays[f"{case}__in_K"],
            },
            "w2c",
            "K",
            depth[None],
        ).to(torch.float32)
        for method in ("rigid", "non_rigid"):
            aligned = align_depth(
                depth,
                torch.ones_like(depth, dtype=torch.bool),
                known_depth,
                torch.from_numpy(arrays[f"{case}__in_target_mask"]),
                camera,
                method=method,
                pixel_centre=0.0,
                reference=True,
            )
            expected = arrays[f"{case}__out_{method}"]
            comparison.add(
                f"{case} {method}", aligned, expected, comparison.entry["tolerance"][method]
            )


CHECKS: dict[str, Callable[[Comparison, Arrays], None]] = {
    "unproject_project": check_unproject_project,
    "reliable_depth_mask": check_reliable_depth_mask,
    "bilinear_splatting": check_bilinear_splatting,
    "forward_warp": check_forward_warp,
    "cache3d_plain": check_cache,
    "cache3d_foreground": check_cache,
    "cache3d_update_rigid": check_cache_update,
    "cache3d_update_non_rigid": check_cache_update,
    "cache4d_plain": check_cache,
    "cache4d_foreground": check_cache,
    "align_depth": check_align_depth,
}
