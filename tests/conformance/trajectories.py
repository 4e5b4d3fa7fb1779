"""Camera trajectories against the reference's world-to-camera matrices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_data.generation.trajectories import (
    CAMERA_PATHS,
    MULTI_VIEW_TRAJECTORIES,
    SpiralParams,
    create_trajectory,
)
from lyra_data.scene.cameras import Cameras
from tests.conformance.base import Comparison, Result, load_arrays


def check(entry: dict[str, Any], folder: Path) -> Result:
    if entry["file"].endswith(".json"):
        return _check_table(entry, folder)
    arrays = load_arrays(entry, folder)
    comparison = Comparison(entry)
    for settings in entry["params"]["cases"]:
        case = settings["case"]
        cameras = create_trajectory(
            settings["trajectory_type"],
            cameras_from(arrays[f"{case}__in_w2c"], arrays[f"{case}__in_K"]),
            num_frames=settings["num_frames"],
            movement_distance=settings["movement_distance"],
            centre_depth=settings["center_depth"],
            rotation=settings["camera_rotation"],
            spiral=SpiralParams(
                radius_x_factor=settings.get("radius_x_factor", 1.0),
                radius_y_factor=settings.get("radius_y_factor", 1.0),
                num_circles=settings.get("num_circles", 1),
            ),
            reference_cameras=True,
        )
        world_to_camera = torch.linalg.inv(cameras.camera_to_world.double())
        comparison.add(f"{case} w2c", world_to_camera[None], arrays[f"{case}__out_w2c"])
        if f"{case}__out_K" in arrays:
            comparison.add(f"{case} K", cameras.intrinsic_matrices[None], arrays[f"{case}__out_K"])
    return comparison.result()


def _check_table(entry: dict[str, Any], folder: Path) -> Result:
    table = json.loads((folder / entry["file"]).read_text())
    comparison = Comparison(entry)
    comparison.add("order", list(MULTI_VIEW_TRAJECTORIES), table["order"])
    for name, row in table["trajectories"].items():
        comparison.add(f"{name} index", MULTI_VIEW_TRAJECTORIES.index(name), row["index"])
        ours = CAMERA_PATHS[name].distance_range
        comparison.add(f"{name} range", ours, row["movement_distance_range"])
    return comparison.result()


def cameras_from(
    world_to_camera: np.ndarray, matrices: np.ndarray, height: int = 1, width: int = 1
) -> Cameras:
    """Float64 Cameras of the goldens' [4 4] or [frame 4 4] poses and [3 3] or [frame 3 3] K.

    The poses are inverted as general matrices: their float32 rotations are not orthonormal enough
    for a transpose to be within the tolerance.
    """
    poses = torch.from_numpy(world_to_camera.reshape(-1, 4, 4)).double()
    k = torch.from_numpy(matrices.reshape(-1, 3, 3)).double()
    intrinsics = torch.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], dim=-1)
    return Cameras(torch.linalg.inv(poses), intrinsics.expand(len(poses), 4), height, width)
