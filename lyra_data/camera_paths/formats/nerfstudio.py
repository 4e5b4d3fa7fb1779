"""nerfstudio's camera_path.json: the path that its viewer exports and `ns-render` reads.

    {"camera_type": "perspective", "render_height": 720, "render_width": 1280, "fps": 24,
     "seconds": 4.0, "camera_path": [
        {"camera_to_world": [16 numbers, rows first], "fov": 50.0, "aspect": 1.78,
         "render_time": 0.0}, ...]}

Its cameras look along -z with y up (OpenGL's axes); `fov` is vertical, in degrees; the principal
point is the picture's centre. Source: nerfstudio, cameras/camera_paths.py (get_path_from_json).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lyra_data.camera_paths.formats.lenses import (
    checked_view_angle,
    lens_of_view_angle,
    view_angles_of,
)
from lyra_data.camera_paths.poses import MOST_POSES, PathPoses, checked_poses
from lyra_data.clips.formats.nerfstudio_values import Section
from lyra_data.clips.formats.nerfstudio_writing import OPENGL_FROM_OPENCV
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import shortened
from lyra_data.scene.cameras import Cameras


def read_nerfstudio_path(values: dict[str, Any], where: str) -> PathPoses:
    """Return the cameras out of the values of a camera_path.json.

    Raises:
        InputError: a key is missing or its value impossible, or the lens is no pinhole.
    """
    entries = values["camera_path"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_POSES:
        raise InputError(
            f"camera_path is {shortened(entries)}",
            where=where,
            fix=f'list the cameras under "camera_path": at least one, at most {MOST_POSES:,}',
        )
    lens_kind = values.get("camera_type", "perspective")
    if lens_kind != "perspective":
        raise InputError(
            f"camera_type {shortened(lens_kind)}: only a pinhole is read",
            where=where,
            fix="export the path as perspective",
        )
    poses, lens, times = [], [], []
    for index, entry in enumerate(entries):
        place = f"{where}: camera_path[{index}]"
        if not isinstance(entry, dict):
            raise InputError(f"{shortened(entry)}", where=place, fix="give an object")
        section = Section(entry, place)
        poses.append(_pose(section))
        lens.append(lens_of_view_angle(checked_view_angle(entry.get("fov"), where=place)))
        if "render_time" in entry:
            times.append(section.number("render_time"))
    return checked_poses(
        torch.from_numpy(np.array(poses) @ OPENGL_FROM_OPENCV),
        where=where,
        lens=torch.tensor(lens, dtype=torch.float64),
        times=_times(values, times, len(poses), where),
    )


def nerfstudio_values(cameras: Cameras, *, fps: float) -> dict[str, Any]:
    """Return the values of a camera_path.json; principal points and fx have no place in it."""
    poses = cameras.camera_to_world.double().numpy() @ OPENGL_FROM_OPENCV
    aspect = cameras.width / cameras.height
    angles = view_angles_of(cameras).tolist()
    return {
        "camera_type": "perspective",
        "render_height": cameras.height,
        "render_width": cameras.width,
        "fps": fps,
        "seconds": len(cameras) / fps,
        "camera_path": [
            {
                "camera_to_world": (pose + 0.0).flatten().tolist(),  # no -0.0
                "fov": angle,
                "aspect": aspect,
            }
            for pose, angle in zip(poses, angles, strict=True)
        ],
    }


def _pose(section: Section) -> np.ndarray:
    numbers = section.values.get("camera_to_world")
    flat = _flat(numbers)
    if flat is None:
        raise section.bad("camera_to_world", numbers, "16 numbers, rows first")
    return np.array(flat, dtype=np.float64).reshape(4, 4)


def _flat(numbers: Any) -> list[float] | None:
    """Return 16 numbers that stand in one list or in four rows; None where they are something
    else."""
    if not isinstance(numbers, list):
        return None
    if len(numbers) == 4 and all(isinstance(row, list) for row in numbers):
        numbers = [number for row in numbers for number in row]
    is_right = len(numbers) == 16 and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in numbers
    )
    return [float(number) for number in numbers] if is_right else None


def _times(
    values: dict[str, Any], times: list[float], num_poses: int, where: str
) -> torch.Tensor | None:
    """Return the times of all cameras: their own if each has one, else by the rate, if there is
    one."""
    if len(times) == num_poses and num_poses > 0 and len(set(times)) == num_poses:
        return torch.tensor(times, dtype=torch.float64)
    if "fps" not in values:
        return None
    fps = Section(values, where).number("fps")
    if not 0.001 <= fps <= 1e6:
        raise Section(values, where).bad("fps", fps, "frames per second, above 0")
    return torch.arange(num_poses, dtype=torch.float64) / fps
